package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// runner carries one job: it reports the progress of its steps, and by the
// answers keeps the grant alive or calls the job off.
type runner struct {
	client  *client
	console *console
	job     *job
	grant   *grant
	label   string        // the disk, for people
	every   time.Duration // time between progress reports

	step  string
	total int64
	done  atomic.Int64
	shown int64 // percent last printed, -1 for none
}

func newRunner(c *client, j *job, every time.Duration) *runner {
	r := &runner{client: c, console: c.console, job: j, every: every, label: j.Disk.Path}
	length := time.Duration(j.GrantSeconds * float64(time.Second))
	r.grant = newGrant(length, func(paused bool) {
		if paused {
			c.console.say("writing pauses: the server has not answered for %.0f s", j.GrantSeconds)
		} else {
			c.console.say("writing goes on")
		}
	})
	return r
}

// run does one step. The daemon has agreed before body starts, is told at most
// once a second how far it is, and once more when it is done. If the daemon
// calls the job off, body's context ends and run returns the refusal.
func (r *runner) run(ctx context.Context, step string, total int64, body func(context.Context) error) error {
	r.step, r.total, r.shown = step, total, -1
	r.done.Store(0)
	if err := r.insist(ctx); err != nil {
		return err
	}
	r.show()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var beat sync.WaitGroup
	stop := make(chan struct{})
	beat.Go(func() { r.beat(ctx, cancel, stop) })
	err := body(ctx)
	if ctx.Err() != nil { // called off: that, and not its consequences, is the reason
		err = context.Cause(ctx)
	}
	close(stop)
	beat.Wait()
	if err != nil {
		return err
	}
	r.done.Store(total)
	r.show()
	return r.insist(ctx)
}

// beat reports every second until stopped. A refusal ends the job.
func (r *runner) beat(ctx context.Context, cancel context.CancelCauseFunc, stop <-chan struct{}) {
	wait := backoff{first: r.client.firstDelay}
	pause := r.every
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		r.show()
		err := r.send(ctx)
		switch {
		case err == nil:
			pause, wait.failures = r.every, 0
		case passing(err):
			pause = max(r.every, wait.delay())
		default:
			cancel(err)
			return
		}
	}
}

// send makes one report and, accepted, extends the grant.
func (r *runner) send(ctx context.Context) error {
	sent := time.Now()
	err := r.client.once(ctx, "/agent/progress", callTimeout, r.report(), nil)
	if err == nil {
		r.grant.extend(sent)
	}
	return err
}

func (r *runner) insist(ctx context.Context) error {
	wait := backoff{first: r.client.firstDelay}
	for {
		err := r.send(ctx)
		if err == nil || !passing(err) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if wait.failures%8 == 0 {
			r.console.say("/agent/progress: %v; trying again", err)
		}
		if err := sleep(ctx, wait.delay()); err != nil {
			return err
		}
	}
}

func (r *runner) report() progressReport {
	return progressReport{Job: r.job.ID, Step: r.step, DoneBytes: r.done.Load(), TotalBytes: r.total}
}

func (r *runner) show() {
	percent := int64(100)
	if r.total > 0 {
		percent = r.done.Load() * 100 / r.total
	}
	if percent != r.shown {
		r.shown = percent
		r.console.say("%s %d %% of %s %s %s", r.step, percent, size(r.total), preposition[r.step], r.label)
	}
}

var preposition = map[string]string{"write": "to", "verify": "on", "seed": "to", "clean": "on"}

// calledOff tells whether the daemon, and not the disk, ended the job.
func calledOff(err error) bool {
	var refusal *problem
	return errors.As(err, &refusal)
}

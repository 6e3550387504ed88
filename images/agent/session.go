package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"
)

// agent is this boot's conversation with the daemon: redeem the ticket, tell
// what the machine is, then ask again and again what to do.
type agent struct {
	machine
	client  *client
	console *console
	ticket  string
	key     ed25519.PrivateKey
	boot    int64
	every   time.Duration // between progress reports
	idle    time.Duration // at least so long between two questions
	power   func(how string) error

	openDisk func(diskName) (target, disk, error) // machine.open unless a test puts a faulty disk in between
	told     inventory
}

func (a *agent) open(named diskName) (target, disk, error) {
	if a.openDisk != nil {
		return a.openDisk(named)
	}
	return a.machine.open(named)
}

// take opens the job's disk, once it is known to be the one that the job names,
// and makes what reports on the job and holds its grant.
func (a *agent) take(j *job) (target, disk, *runner, error) {
	opened, found, err := a.open(j.Disk)
	if err != nil {
		return nil, found, nil, err
	}
	r := newRunner(a.client, j, a.every)
	r.label = found.label()
	return opened, found, r, nil
}

// run returns only with the reason why this boot is over, or nil after the
// machine was told to reboot or power off.
func (a *agent) run(ctx context.Context) error {
	if err := a.redeem(ctx); err != nil {
		return err
	}
	if err := a.tell(ctx); err != nil {
		return err
	}
	for {
		over, err := a.turn(ctx)
		if over || err != nil {
			return err
		}
	}
}

func (a *agent) redeem(ctx context.Context) error {
	public := a.key.Public().(ed25519.PublicKey)
	signature := ed25519.Sign(a.key, []byte("remuda-redeem\n"+a.ticket))
	request := redeemRequest{
		Ticket:    a.ticket,
		PublicKey: base64.StdEncoding.EncodeToString(public),
		Signature: base64.StdEncoding.EncodeToString(signature),
	}
	var answer redeemAnswer
	a.console.say("redeeming this boot's ticket at %s", a.client.base)
	if err := a.client.insist(ctx, "/agent/redeem", callTimeout, request, &answer); err != nil {
		return err
	}
	a.client.credential, a.boot = answer.Credential, answer.Boot
	a.console.hide(answer.Credential)
	a.console.say("this machine is %s (%s), boot %d", answer.HostName, answer.HostID, answer.Boot)
	return nil
}

// tell sends the inventory.
func (a *agent) tell(ctx context.Context) error {
	a.told = a.inventory()
	a.console.say("inventory: %s", a.told.summary())
	return a.client.insist(ctx, "/agent/inventory", callTimeout, a.told, nil)
}

// turn asks once what to do and does it. It is true when the machine goes down.
func (a *agent) turn(ctx context.Context) (bool, error) {
	asked := time.Now()
	var order work
	if err := a.client.insist(ctx, "/agent/next", pollTimeout, nextRequest{Boot: a.boot}, &order); err != nil {
		return false, a.ride(ctx, err)
	}
	switch order.Work {
	case "install", "clean":
		if order.Job != nil {
			return a.do(ctx, order)
		}
	case "reboot", "poweroff":
		return true, a.goDown(order.Work)
	case "inspect":
		return false, a.ride(ctx, a.tell(ctx))
	case "wait":
		if err := sleep(ctx, a.idle-time.Since(asked)); err != nil {
			return false, err
		}
		return false, a.tellChanges(ctx)
	}
	a.console.say("the server asks for work %q, which this agent does not know", order.Work)
	return false, sleep(ctx, longestDelay)
}

// ride gets over a refusal that does not end this boot.
func (a *agent) ride(ctx context.Context, err error) error {
	var refusal *problem
	if err == nil || !errors.As(err, &refusal) || refusal.final() {
		return err
	}
	a.console.say("%v", err)
	return sleep(ctx, a.idle)
}

// tellChanges: disks behind a slow controller turn up after the first report.
func (a *agent) tellChanges(ctx context.Context) error {
	if reflect.DeepEqual(a.told, a.inventory()) {
		return nil
	}
	return a.ride(ctx, a.tell(ctx))
}

// do carries out a job and reports. A job that was called off is not reported:
// nobody waits for it.
func (a *agent) do(ctx context.Context, order work) (bool, error) {
	act := a.clean
	if order.Work == "install" {
		act = a.install
	}
	outcome, err := act(ctx, order.Job)
	if err != nil && calledOff(err) {
		return false, a.callOff(ctx, order.Job, err)
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if err != nil {
		why := asFailure(err)
		a.console.say("%s failed (%s): %s", order.Work, why.code, why.reason)
		outcome = report{Job: order.Job.ID, Outcome: "failed", Code: why.code, Reason: why.reason, Detail: why.detail}
	} else {
		a.console.say("%s done: %s on %s in %.1f s", order.Work, size(outcome.Bytes), outcome.Disk.label(), outcome.Seconds)
	}
	var answer reportAnswer
	if err := a.client.insist(ctx, "/agent/report", callTimeout, outcome, &answer); err != nil {
		return false, a.callOff(ctx, order.Job, err)
	}
	if answer.Then == "reboot" || answer.Then == "poweroff" {
		return true, a.goDown(answer.Then)
	}
	return false, nil
}

func (a *agent) callOff(ctx context.Context, j *job, err error) error {
	var refusal *problem
	if errors.As(err, &refusal) && refusal.stale() {
		a.console.say("job %s is no longer wanted; nothing more is written", j.ID)
		return nil
	}
	return a.ride(ctx, err)
}

func (a *agent) goDown(how string) error {
	a.console.say("the server says: %s", how)
	if err := a.power(how); err != nil {
		return fmt.Errorf("%s failed: %w", how, err)
	}
	return nil
}

// loadKey makes the boot's key, or finds the one that this boot already has: an
// agent that was started again must redeem with the same key, else the daemon
// takes it for a second machine with a copied ticket.
func loadKey(path string) (ed25519.PrivateKey, error) {
	if stored, err := os.ReadFile(path); err == nil && len(stored) == ed25519.SeedSize {
		return ed25519.NewKeyFromSeed(stored), nil
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	fresh := path + ".new"
	if err := os.WriteFile(fresh, key.Seed(), 0o600); err != nil {
		return nil, err
	}
	return key, os.Rename(fresh, path)
}

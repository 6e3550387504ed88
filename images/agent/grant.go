package main

import (
	"context"
	"sync"
	"time"
)

// grant is the daemon's leave to write, which runs out by itself. Every
// accepted progress report extends it, counted from when the report was SENT:
// an answer that was long under way must not stretch it.
type grant struct {
	mu       sync.Mutex
	length   time.Duration
	until    time.Time
	extended chan struct{}
	paused   func(bool) // told when writing stops and goes on
}

func newGrant(length time.Duration, paused func(bool)) *grant {
	return &grant{length: length, extended: make(chan struct{}), paused: paused}
}

func (g *grant) extend(sent time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until := sent.Add(g.length); until.After(g.until) {
		g.until = until
	}
	close(g.extended)
	g.extended = make(chan struct{})
}

// await returns at once while the grant lasts, else when it is given again, or
// with the cause when the job was called off. It is asked before every write.
func (g *grant) await(ctx context.Context) error {
	waiting := false
	for {
		g.mu.Lock()
		valid, extended := time.Now().Before(g.until), g.extended
		g.mu.Unlock()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if valid {
			if waiting {
				g.paused(false)
			}
			return nil
		}
		if !waiting {
			waiting = true
			g.paused(true)
		}
		select {
		case <-extended:
		case <-ctx.Done():
		}
	}
}

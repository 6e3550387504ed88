package main

import (
	"context"
	"math/rand/v2"
	"time"
)

// The daemon may be restarted at any time, and hundreds of agents then come
// back at once: delays double from the first to the longest, with jitter.
const (
	firstDelay   = 500 * time.Millisecond
	longestDelay = 10 * time.Second
)

// backoff counts the failures in a row of one conversation.
type backoff struct {
	failures int
	first    time.Duration // firstDelay unless a test says otherwise
}

// delay is how long to wait after one more failure: between half and all of
// the doubled step.
func (b *backoff) delay() time.Duration {
	step := b.first
	if step == 0 {
		step = firstDelay
	}
	for range b.failures {
		step = min(step*2, longestDelay)
	}
	b.failures++
	return step/2 + rand.N(step/2+1)
}

// sleep waits, or returns why it was cut short.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

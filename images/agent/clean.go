package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"time"
)

const (
	zeroStep     = 64 << 20 // zeroed between two looks at the grant
	wholeLimit   = 4 << 30  // up to here the whole disk is read back
	edgeBytes    = 64 << 20 // read back at each end of a larger one
	sampleCount  = 1024
	sampleLength = 1 << 20
)

// clean zeroes the job's disk and proves it.
func (a *agent) clean(ctx context.Context, j *job) (report, error) {
	started := time.Now()
	if j.Mode != "zero" || j.GrantSeconds <= 0 || j.Disk.SizeBytes <= 0 {
		return report{}, fail("internal", "The clean job %s (mode %q) is not understood.", j.ID, j.Mode)
	}
	disk, found, r, err := a.take(j)
	if err != nil {
		return report{}, err
	}
	defer disk.Close()
	a.console.say("clean %s, %s", r.label, size(found.SizeBytes))
	err = r.run(ctx, "clean", j.Disk.SizeBytes, func(ctx context.Context) error { return r.zero(ctx, disk) })
	if err != nil {
		return report{}, err
	}
	spans := cleanSpans(j.Disk.SizeBytes)
	err = r.run(ctx, "verify", spanBytes(spans), func(ctx context.Context) error { return r.proveZero(ctx, disk, spans) })
	if err != nil {
		return report{}, err
	}
	return report{Job: j.ID, Outcome: "done", Bytes: j.Disk.SizeBytes, Disk: &found, Seconds: time.Since(started).Seconds()}, nil
}

func (r *runner) zero(ctx context.Context, disk target) error {
	if err := r.zeroRange(ctx, disk, 0, r.job.Disk.SizeBytes); err != nil {
		return err
	}
	if err := disk.Settle(); err != nil {
		return r.writeError(0, err)
	}
	return nil
}

// zeroRange zeroes in steps, each under the grant.
func (r *runner) zeroRange(ctx context.Context, disk target, offset, length int64) error {
	for end := offset + length; offset < end; {
		if err := r.grant.await(ctx); err != nil {
			return err
		}
		n := min(zeroStep, end-offset)
		if err := disk.Zero(offset, n); err != nil {
			return r.writeError(offset, err)
		}
		offset += n
		r.done.Add(n)
	}
	return nil
}

// span is a part of a disk to be read back.
type span struct{ offset, length int64 }

// cleanSpans: all of a small disk; both ends, where tables and metadata live,
// and samples of a large one.
func cleanSpans(bytes int64) []span {
	if bytes <= wholeLimit {
		return []span{{0, bytes}}
	}
	spans := []span{{0, edgeBytes}}
	for range sampleCount {
		at := edgeBytes + rand.Int64N(bytes-2*edgeBytes-sampleLength)
		spans = append(spans, span{at &^ 4095, sampleLength})
	}
	return append(spans, span{bytes - edgeBytes, edgeBytes})
}

func spanBytes(spans []span) int64 {
	total := int64(0)
	for _, s := range spans {
		total += s.length
	}
	return total
}

func (r *runner) proveZero(ctx context.Context, disk target, spans []span) error {
	block, blank := pageBuffer(readBlock), make([]byte, readBlock)
	defer freePages(block)
	for _, s := range spans {
		for offset := s.offset; offset < s.offset+s.length; {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			n, err := disk.ReadAt(block[:min(readBlock, s.offset+s.length-offset)], offset)
			if n == 0 && err != nil {
				return fail("clean-not-verified", "Reading %s back at byte %d failed: %v.", r.label, offset, err)
			}
			if !bytes.Equal(block[:n], blank[:n]) {
				return fail("clean-not-verified", "%s is not zero within %d bytes from byte %d.", r.label, n, offset).
					with(map[string]any{"offsetBytes": offset})
			}
			offset += int64(n)
			r.done.Add(int64(n))
		}
	}
	return nil
}

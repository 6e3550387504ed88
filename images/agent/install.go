package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"time"
)

const (
	parallelFetches = 4
	readBlock       = 4 << 20
	bootRecord      = 1 << 20 // the first MiB: without it no firmware boots the disk
)

// install writes the job's image to the job's disk, proves it by reading it
// back, writes the seed and returns what to report.
func (a *agent) install(ctx context.Context, j *job) (report, error) {
	started := time.Now()
	offsets, err := checkInstall(j)
	if err != nil {
		return report{}, err
	}
	signers, err := j.checkSignatures()
	if err != nil {
		return report{}, err
	}
	disk, found, r, err := a.take(j)
	if err != nil {
		return report{}, err
	}
	defer disk.Close()
	a.console.say("install %s (%s) on %s", shortDigest(j.Image.Digest), size(j.Image.SizeBytes), r.label)
	if len(signers) > 0 {
		a.console.say("the image is signed by %s", strings.Join(signers, ", "))
	}

	w := installation{runner: r, disk: disk, offsets: offsets}
	if w.fetcher, err = newFetcher(j.ChunkURL, a.console, a.client.firstDelay); err != nil {
		return report{}, err
	}
	defer w.fetcher.close()
	if err := r.run(ctx, "write", j.Image.SizeBytes, w.write); err != nil {
		return report{}, err
	}
	if err := r.run(ctx, "verify", j.Image.SizeBytes, w.verify); err != nil {
		return report{}, err
	}
	if err := w.writeSeed(ctx); err != nil {
		return report{}, err
	}
	return report{Job: j.ID, Outcome: "done", Digest: j.Image.Digest, Bytes: j.Image.SizeBytes,
		Disk: &found, Seconds: time.Since(started).Seconds()}, nil
}

// checkInstall refuses an order that does not add up, before anything is
// touched, and returns where on the disk each chunk begins.
func checkInstall(j *job) ([]int64, error) {
	if j.Image == nil || !isHash(strings.TrimPrefix(j.Image.Digest, "sha256:")) || j.GrantSeconds <= 0 {
		return nil, fail("internal", "The install job %s has no image, no sha256 digest or no grant.", j.ID)
	}
	offsets := make([]int64, len(j.Image.Chunks))
	total := int64(0)
	for i, c := range j.Image.Chunks {
		if !c.sound() || c.SizeBytes != j.Image.ChunkBytes && (i < len(offsets)-1 || c.SizeBytes > j.Image.ChunkBytes) {
			return nil, fail("internal", "Chunk %d of the image is not understood (encoding %q, %d bytes, %d stored).", i, c.Encoding, c.SizeBytes, c.StoredBytes)
		}
		offsets[i] = total
		total += c.SizeBytes
	}
	if total != j.Image.SizeBytes || total == 0 {
		return nil, fail("internal", "The chunks of the image add up to %d bytes, not %d.", total, j.Image.SizeBytes)
	}
	end := total
	if j.Seed != nil {
		if j.Seed.OffsetBytes < 0 || j.Seed.SizeBytes <= 0 || j.Seed.SizeBytes > answerLimit {
			return nil, fail("internal", "The seed of %d bytes at %d is not understood.", j.Seed.SizeBytes, j.Seed.OffsetBytes)
		}
		end = max(end, j.Seed.OffsetBytes+j.Seed.SizeBytes)
	}
	if end > j.Disk.SizeBytes {
		return nil, fail("disk-too-small", "The image needs %d bytes, %s has %d.", end, j.Disk.Path, j.Disk.SizeBytes)
	}
	return offsets, nil
}

// sound: the agent has memory for it and knows how to unpack it.
func (c chunk) sound() bool {
	if c.Zero {
		return c.SizeBytes > 0
	}
	return (c.Encoding == "raw" || c.Encoding == "zstd") && isHash(c.SHA256) &&
		c.SizeBytes > 0 && c.SizeBytes <= chunkLimit && c.StoredBytes > 0 && c.StoredBytes <= chunkLimit
}

// isHash: a SHA-256 in lower-case hex, as it is signed.
func isHash(text string) bool {
	return len(text) == 64 && strings.Trim(text, "0123456789abcdef") == ""
}

func shortDigest(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }

// installation is one install under way.
type installation struct {
	*runner
	disk    target
	fetcher *fetcher
	offsets []int64

	mu   sync.Mutex // one write at a time, in nearly ascending order
	next int
}

// write blanks the boot record first and writes the first chunk last: a disk
// that was left half-written (power cut, job called off) does not boot.
func (w *installation) write(ctx context.Context) error {
	if err := w.blank(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var workers sync.WaitGroup
	w.next = 1
	for range min(parallelFetches, len(w.offsets)-1) {
		workers.Go(func() {
			if err := w.work(ctx); err != nil {
				cancel(err)
			}
		})
	}
	workers.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.next = 0
	buffers := newBuffers(w.job.Image.Chunks[:1])
	defer buffers.free()
	if err := w.put(ctx, 0, buffers); err != nil {
		return err
	}
	if err := w.disk.Settle(); err != nil {
		return w.writeError(0, err)
	}
	return nil
}

func (w *installation) blank(ctx context.Context) error {
	if err := w.grant.await(ctx); err != nil {
		return err
	}
	if err := w.disk.Zero(0, min(bootRecord, w.job.Disk.SizeBytes)); err != nil {
		return w.writeError(0, err)
	}
	return nil
}

// work takes one chunk after the other until none is left.
func (w *installation) work(ctx context.Context) error {
	buffers := newBuffers(w.job.Image.Chunks)
	defer buffers.free()
	for {
		w.mu.Lock()
		index := w.next
		w.next++
		w.mu.Unlock()
		if index >= len(w.offsets) {
			return nil
		}
		if err := w.put(ctx, index, buffers); err != nil {
			return err
		}
	}
}

// put fetches, verifies and only then writes one chunk.
func (w *installation) put(ctx context.Context, index int, buffers buffers) error {
	c := w.job.Image.Chunks[index]
	raw := buffers.raw[:min(c.SizeBytes, int64(len(buffers.raw)))]
	if !c.Zero {
		if err := w.fetcher.chunk(ctx, c, buffers.stored[:c.StoredBytes], raw); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Zero {
		return w.zeroRange(ctx, w.disk, w.offsets[index], c.SizeBytes)
	}
	if err := w.grant.await(ctx); err != nil {
		return err
	}
	if _, err := w.disk.WriteAt(raw, w.offsets[index]); err != nil {
		return w.writeError(w.offsets[index], err)
	}
	w.done.Add(c.SizeBytes)
	return nil
}

func (r *runner) writeError(offset int64, err error) error {
	return fail("write-error", "Writing to %s at byte %d failed: %v.", r.label, offset, err).
		with(map[string]any{"offsetBytes": offset, "error": err.Error()})
}

// verify reads the whole image from the disk. A disk that does not hold it
// must not boot either: its boot record is blanked.
func (w *installation) verify(ctx context.Context) error {
	hash := sha256.New()
	block := pageBuffer(readBlock)
	defer freePages(block)
	var trouble *failure
	for offset := int64(0); offset < w.job.Image.SizeBytes && trouble == nil; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := w.disk.ReadAt(block[:min(readBlock, w.job.Image.SizeBytes-offset)], offset)
		if n == 0 && err != nil {
			trouble = fail("read-back-mismatch", "Reading %s back at byte %d failed: %v.", w.label, offset, err)
		}
		hash.Write(block[:n])
		offset += int64(n)
		w.done.Add(int64(n))
	}
	if found := "sha256:" + hex.EncodeToString(hash.Sum(nil)); trouble == nil && found != w.job.Image.Digest {
		trouble = fail("read-back-mismatch", "%s was read back as %s, but the image is %s.", w.label, found, w.job.Image.Digest).
			with(map[string]any{"expected": w.job.Image.Digest, "found": found})
	}
	if trouble == nil {
		return nil
	}
	return w.disown(ctx, trouble)
}

// disown blanks the boot record of a disk that failed its proof.
func (w *installation) disown(ctx context.Context, trouble *failure) error {
	if err := w.blank(ctx); err != nil && calledOff(err) {
		return err
	} else if err == nil {
		err = w.disk.Settle()
		if err != nil {
			w.console.say("the boot record of %s could not be flushed: %v", w.label, err)
		}
	}
	return trouble
}

// writeSeed fetches the first-boot file system once the image is proven.
func (w *installation) writeSeed(ctx context.Context) error {
	place := w.job.Seed
	if place == nil {
		return nil
	}
	var content []byte
	if err := w.client.insist(ctx, "/agent/seed", callTimeout, seedRequest{Job: w.job.ID}, &content); err != nil {
		return err
	}
	if int64(len(content)) != place.SizeBytes {
		return fail("internal", "The seed came with %d bytes instead of %d.", len(content), place.SizeBytes)
	}
	return w.run(ctx, "seed", place.SizeBytes, func(ctx context.Context) error {
		if err := w.grant.await(ctx); err != nil {
			return err
		}
		return w.putSeed(ctx, place.OffsetBytes, content)
	})
}

func (w *installation) putSeed(ctx context.Context, offset int64, content []byte) error {
	pages := pageBuffer(len(content))
	defer freePages(pages)
	copy(pages, content)
	if _, err := w.disk.WriteAt(pages, offset); err != nil {
		return w.writeError(offset, err)
	}
	if err := w.disk.Settle(); err != nil {
		return w.writeError(offset, err)
	}
	clear(pages)
	if _, err := w.disk.ReadAt(pages, offset); err != nil || !bytes.Equal(pages, content) {
		return w.disown(ctx, fail("read-back-mismatch", "The seed on %s at byte %d was not read back as written.", w.label, offset))
	}
	return nil
}

// buffers is one worker's memory: a chunk as stored and as written.
type buffers struct{ stored, raw []byte }

func newBuffers(chunks []chunk) buffers {
	var stored, raw int64 = 1, 1
	for _, c := range chunks {
		if !c.Zero {
			stored, raw = max(stored, c.StoredBytes), max(raw, c.SizeBytes)
		}
	}
	return buffers{stored: make([]byte, stored), raw: pageBuffer(int(raw))}
}

func (b buffers) free() { freePages(b.raw) }

// asFailure makes a reportable failure of whatever ended a job.
func asFailure(err error) *failure {
	var known *failure
	if errors.As(err, &known) {
		return known
	}
	return fail("internal", "The agent failed: %v.", err)
}

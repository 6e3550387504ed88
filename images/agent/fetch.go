package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/klauspost/compress/zstd"
)

const (
	chunkLimit    = 16 << 20         // largest chunk the agent has memory for
	chunkAttempts = 3                // times a corrupt chunk is fetched again
	stallTimeout  = 15 * time.Second // a transfer without a byte for so long is given up
)

// fetcher gets chunks by their hash over plain HTTP: what arrives is believed
// only when it has the hash that the daemon gave over TLS.
type fetcher struct {
	base       string
	http       *http.Client
	decoder    *zstd.Decoder
	console    *console
	firstDelay time.Duration
}

func newFetcher(base string, out *console, firstDelay time.Duration) (*fetcher, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(parallelFetches),
		zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxWindow(chunkLimit))
	if err != nil {
		return nil, err
	}
	return &fetcher{base: base, decoder: decoder, console: out, firstDelay: firstDelay, http: &http.Client{
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 10 * time.Second}).DialContext,
			ResponseHeaderTimeout: stallTimeout,
			DisableCompression:    true,
			MaxIdleConnsPerHost:   parallelFetches,
			ReadBufferSize:        256 << 10,
		},
	}}, nil
}

func (f *fetcher) close() {
	f.decoder.Close()
	f.http.CloseIdleConnections()
}

// errCorrupt: bytes came, but not the right ones. errAbsent: the server has no
// such chunk.
type errCorrupt struct{ found string }

func (e errCorrupt) Error() string { return "found " + e.found }

var errAbsent = errors.New("the server does not have it")

// chunk fills raw with the chunk's verified content. A broken connection or a
// server in trouble is waited out; wrong bytes are not asked for for ever.
func (f *fetcher) chunk(ctx context.Context, c chunk, stored, raw []byte) error {
	wait := backoff{first: f.firstDelay}
	corrupt, absent := 0, 0
	for {
		err := f.attempt(ctx, c, stored, raw)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var wrong errCorrupt
		switch {
		case errors.As(err, &wrong):
			f.console.say("chunk %.12s is corrupt (%v); fetching it again", c.SHA256, err)
			if corrupt++; corrupt > chunkAttempts {
				return fail("chunk-corrupt", "Chunk %s arrived corrupt %d times; the last time it was %s.", c.SHA256, corrupt, wrong.found).
					with(map[string]any{"expected": c.SHA256, "found": wrong.found})
			}
		case errors.Is(err, errAbsent):
			if absent++; absent > chunkAttempts {
				return fail("chunk-missing", "The server does not have chunk %s (asked %d times).", c.SHA256, absent).
					with(map[string]any{"expected": c.SHA256})
			}
		case wait.failures%8 == 0:
			f.console.say("chunk %.12s: %v; trying again", c.SHA256, err)
		}
		if err := sleep(ctx, wait.delay()); err != nil {
			return err
		}
	}
}

func (f *fetcher) attempt(ctx context.Context, c chunk, stored, raw []byte) error {
	into := stored
	if c.Encoding == "raw" {
		into = raw
	}
	n, err := f.get(ctx, c.SHA256, into)
	if err != nil {
		return err
	}
	if err := f.decode(c, into[:n], raw); err != nil {
		return err
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != c.SHA256 {
		return errCorrupt{hex.EncodeToString(sum[:])}
	}
	return nil
}

// decode leaves the raw bytes in raw. Content that cannot be decoded is named
// by the hash of what came.
func (f *fetcher) decode(c chunk, stored, raw []byte) error {
	if c.Encoding == "raw" {
		if len(stored) != len(raw) {
			return errCorrupt{fmt.Sprintf("%d bytes instead of %d", len(stored), len(raw))}
		}
		return nil
	}
	decoded, err := f.decoder.DecodeAll(stored, raw[:0:len(raw)])
	if err != nil || len(decoded) != len(raw) || &decoded[0] != &raw[0] {
		sum := sha256.Sum256(stored)
		return errCorrupt{"undecodable bytes with the hash " + hex.EncodeToString(sum[:])}
	}
	return nil
}

// get reads the stored form into buffer, which is as long as it may be. More
// or fewer bytes than announced is a broken transfer and simply tried again.
func (f *fetcher) get(ctx context.Context, name string, buffer []byte) (int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(stallTimeout, func() { cancel(errors.New("no byte came for 15 s")) })
	defer stalled.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+name, nil)
	if err != nil {
		return 0, err
	}
	response, err := f.http.Do(request)
	if err != nil {
		return 0, withoutAddress(err)
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusGone:
		return 0, errAbsent
	case response.StatusCode != http.StatusOK:
		return 0, fmt.Errorf("the server answered %s", response.Status)
	}
	return readWatched(response.Body, buffer, func() { stalled.Reset(stallTimeout) })
}

func readWatched(body io.Reader, buffer []byte, alive func()) (int, error) {
	n := 0
	for {
		var extra [1]byte
		into := buffer[n:]
		if len(into) == 0 {
			into = extra[:]
		}
		k, err := body.Read(into)
		if k > 0 && n == len(buffer) {
			return 0, errCorrupt{fmt.Sprintf("more than the announced %d bytes", len(buffer))}
		}
		n += k
		alive()
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

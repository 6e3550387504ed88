package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func untouched(t *testing.T, a *agent) {
	t.Helper()
	if !bytes.Equal(diskContent(t, a), bytes.Repeat([]byte("old!"), testDisk/4)) {
		t.Error("the disk was written")
	}
}

func runAgent(t *testing.T, a *agent) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return a.run(ctx)
}

func TestInstall(t *testing.T) {
	f := newFake(t)
	a, screen := testAgent(t, f)
	raw := testImage()
	f.seed = bytes.Repeat([]byte("seed"), 1024)
	f.orders = []work{{Work: "wait"}, {Work: "inspect"}, {Work: "install", Job: f.installJob(raw, 3<<20)}}
	if err := runAgent(t, a); err != nil {
		t.Fatal(err, screen)
	}
	want := bytes.Repeat([]byte("old!"), testDisk/4)
	copy(want, raw)
	copy(want[3<<20:], f.seed)
	if !bytes.Equal(diskContent(t, a), want) {
		t.Error("the disk does not hold image, seed and the old rest")
	}
	if f.report.Outcome != "done" || f.report.Digest == "" || f.report.Bytes != int64(len(raw)) || f.report.Disk.Serial != "d1" {
		t.Errorf("report %+v", f.report)
	}
	if n := f.count("/agent/inventory", `"serial":"d1"`); n != 2 {
		t.Errorf("%d inventories", n)
	}
	for _, step := range []string{"write", "verify", "seed"} {
		if f.count("/agent/progress", `"step":"`+step+`","doneBytes":0`) == 0 {
			t.Errorf("no start of step %s", step)
		}
	}
	for _, secret := range []string{"ticket-1", "credential-1"} {
		if strings.Contains(screen.String(), secret) {
			t.Errorf("%s stands on the console", secret)
		}
	}
	if !strings.Contains(screen.String(), "remuda: write 100 % of 3.0 MiB to /dev/vda (virtio serial d1)") {
		t.Error(screen)
	}
}

func TestJobsThatAreRefusedBeforeWriting(t *testing.T) {
	for _, c := range []struct {
		name, code string
		change     func(*testing.T, *agent, *job)
	}{
		{"another serial", "disk-mismatch", func(_ *testing.T, _ *agent, j *job) { j.Disk.Serial = "d2" }},
		{"a WWN nobody has", "disk-mismatch", func(_ *testing.T, _ *agent, j *job) { j.Disk.WWN = "naa.1" }},
		{"another model", "disk-mismatch", func(_ *testing.T, _ *agent, j *job) { j.Disk.Model = "M" }},
		{"another size", "disk-mismatch", func(_ *testing.T, _ *agent, j *job) { j.Disk.SizeBytes += 512 }},
		{"no such disk", "disk-missing", func(_ *testing.T, _ *agent, j *job) { j.Disk.Path = "/dev/vdb" }},
		{"a path out of /dev", "disk-missing", func(_ *testing.T, _ *agent, j *job) { j.Disk.Path = "/dev/../etc/passwd" }},
		{"a partition", "disk-missing", func(_ *testing.T, _ *agent, j *job) { j.Disk.Path = "/dev/vda1" }},
		{"a read-only disk", "disk-read-only", func(t *testing.T, a *agent, _ *job) { writeFile(t, a.path("sys/block/vda/ro"), "1") }},
		{"a mounted partition", "write-error", func(t *testing.T, a *agent, _ *job) {
			writeFile(t, a.path("sys/block/vda/vda1/dev"), "254:1")
			writeFile(t, a.path("proc/self/mountinfo"), "30 1 254:1 / /mnt rw - ext4 /dev/vda1 rw\n")
		}},
		{"not a block device", "write-error", func(_ *testing.T, a *agent, _ *job) { a.plainDisk = false }},
		{"an image too large", "disk-too-small", func(_ *testing.T, _ *agent, j *job) {
			j.Image.SizeBytes, j.Image.ChunkBytes = 16<<20, 16<<20
			j.Image.Chunks = []chunk{{Zero: true, SizeBytes: 16 << 20}}
		}},
		{"a seed beyond the end", "disk-too-small", func(_ *testing.T, _ *agent, j *job) { j.Seed = &seed{OffsetBytes: testDisk, SizeBytes: 512} }},
		{"chunks that do not add up", "internal", func(_ *testing.T, _ *agent, j *job) { j.Image.Chunks = j.Image.Chunks[1:] }},
		{"a hole of another length", "internal", func(_ *testing.T, _ *agent, j *job) {
			j.Image.Chunks[4].SizeBytes -= 512
			j.Image.Chunks[5].SizeBytes += 512
		}},
		{"a chunk named by no hash", "internal", func(_ *testing.T, _ *agent, j *job) { j.Image.Chunks[0].SHA256 = strings.Repeat("\n", 64) }},
		{"an encoding nobody knows", "internal", func(_ *testing.T, _ *agent, j *job) { j.Image.Chunks[0].Encoding = "lz5" }},
		{"a chunk too large for memory", "internal", func(_ *testing.T, _ *agent, j *job) { j.Image.Chunks[0].StoredBytes = 1 << 40 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			a, screen := testAgent(t, f)
			j := f.installJob(testImage(), 0)
			c.change(t, a, j)
			f.orders = []work{{Work: "install", Job: j}}
			if err := runAgent(t, a); err != nil {
				t.Fatal(err, screen)
			}
			untouched(t, a)
			if f.report.Outcome != "failed" || f.report.Code != c.code || f.report.Reason == "" {
				t.Errorf("report %+v, want %s", f.report, c.code)
			}
		})
	}
}

// firstTime is true once.
func firstTime() func() bool {
	var n atomic.Int32
	return func() bool { return n.Add(1) == 1 }
}

func die() { panic(http.ErrAbortHandler) }

func TestTroubleThatPasses(t *testing.T) {
	for _, c := range []struct {
		name, path string
		trouble    func(http.ResponseWriter, *http.Request)
	}{
		{"redeem dies half-way", "/agent/redeem", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			_, _ = w.Write([]byte(`{"credential":"cre`))
			die()
		}},
		{"redeem without an answer", "/agent/redeem", func(http.ResponseWriter, *http.Request) { die() }},
		{"next says 503", "/agent/next", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }},
		{"next says nonsense", "/agent/next", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }},
		{"progress says 500", "/agent/progress", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }},
		{"seed dies half-way", "/agent/seed", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "4096")
			_, _ = w.Write(make([]byte, 100))
			die()
		}},
		{"report without an answer", "/agent/report", func(http.ResponseWriter, *http.Request) { die() }},
		{"a chunk dies half-way", "/chunks/", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5000")
			_, _ = w.Write(make([]byte, 100))
			die()
		}},
		{"a chunk says 502", "/chunks/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }},
		{"a chunk is missing once", "/chunks/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }},
		{"a chunk is too long once", "/chunks/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			a, screen := testAgent(t, f)
			f.seed = bytes.Repeat([]byte("seed"), 1024)
			first := firstTime()
			f.hook(c.path, func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
				if first() {
					c.trouble(w, r)
					return true
				}
				return false
			})
			f.orders = []work{{Work: "install", Job: f.installJob(testImage(), 4<<20)}}
			if err := runAgent(t, a); err != nil {
				t.Fatal(err, screen)
			}
			if f.report.Outcome != "done" {
				t.Errorf("report %+v\n%s", f.report, screen)
			}
		})
	}
}

func TestCorruptChunks(t *testing.T) {
	for _, c := range []struct {
		name    string
		times   int32
		outcome string
	}{{"three times", 3, "done"}, {"for ever", 1 << 30, "chunk-corrupt"}} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			a, _ := testAgent(t, f)
			raw := testImage()
			j := f.installJob(raw, 0)
			victim := j.Image.Chunks[1].SHA256
			var served atomic.Int32
			f.hook("/chunks/", func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
				if !strings.HasSuffix(r.URL.Path, victim) || served.Add(1) > c.times {
					return false
				}
				flipped := bytes.Clone(f.chunks[victim])
				flipped[len(flipped)/2] ^= 1
				_, _ = w.Write(flipped)
				return true
			})
			f.orders = []work{{Work: "install", Job: j}}
			if err := runAgent(t, a); err != nil {
				t.Fatal(err)
			}
			if c.outcome == "done" {
				if f.report.Outcome != "done" {
					t.Errorf("report %+v", f.report)
				}
				return
			}
			if f.report.Code != c.outcome || !strings.Contains(f.report.Reason, victim) || f.report.Detail["found"] == "" {
				t.Errorf("report %+v", f.report)
			}
			if served.Load() != 4 {
				t.Errorf("fetched %d times", served.Load())
			}
			offset := 256 << 10
			if !bytes.Equal(diskContent(t, a)[:1<<20][offset:offset+1024], make([]byte, 1024)) {
				t.Error("something was written where the corrupt chunk belongs")
			}
		})
	}
}

func TestMissingChunk(t *testing.T) {
	f := newFake(t)
	a, _ := testAgent(t, f)
	j := f.installJob(testImage(), 0)
	delete(f.chunks, j.Image.Chunks[2].SHA256)
	f.orders = []work{{Work: "install", Job: j}}
	if err := runAgent(t, a); err != nil || f.report.Code != "chunk-missing" {
		t.Errorf("%v, report %+v", err, f.report)
	}
}

func TestNothingIsWrittenBeforeTheFirstGrant(t *testing.T) {
	f := newFake(t)
	a, _ := testAgent(t, f)
	f.hook("/agent/progress", func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		refuse(w, 409, "job-stale")
		return true
	})
	f.orders = []work{{Work: "install", Job: f.installJob(testImage(), 0)}}
	if err := runAgent(t, a); err != nil {
		t.Fatal(err)
	}
	untouched(t, a)
	if f.count("/agent/report", "") != 0 {
		t.Error("a stale job was reported")
	}
}

// slowDisk takes its time for each write and counts them.
type slowDisk struct {
	target
	pause  time.Duration
	writes *atomic.Int32
}

func (s slowDisk) WriteAt(p []byte, offset int64) (int, error) {
	time.Sleep(s.pause)
	s.writes.Add(1)
	return s.target.WriteAt(p, offset)
}

func TestJobCalledOffInTheMiddle(t *testing.T) {
	for _, c := range []struct {
		code   string
		status int
		final  bool
	}{{"job-stale", 409, false}, {"boot-contested", 409, true}, {"credential-invalid", 401, true}} {
		t.Run(c.code, func(t *testing.T) {
			f := newFake(t)
			a, _ := testAgent(t, f)
			var writes atomic.Int32
			a.openDisk = func(named diskName) (target, disk, error) {
				opened, found, err := a.machine.open(named)
				return slowDisk{opened, 20 * time.Millisecond, &writes}, found, err
			}
			var beats atomic.Int32
			f.hook("/agent/progress", func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
				// In the middle: on a busy machine the third beat may come before the first write.
				if beats.Add(1) < 3 || writes.Load() == 0 {
					return false
				}
				refuse(w, c.status, c.code)
				return true
			})
			f.orders = []work{{Work: "install", Job: f.installJob(testImage(), 0)}}
			err := runAgent(t, a)
			var refusal *problem
			if c.final != errors.As(err, &refusal) {
				t.Errorf("run: %v", err)
			}
			if f.count("/agent/report", "") != 0 {
				t.Error("a job that was called off was reported")
			}
			if n := writes.Load(); n == 0 || n > 8 {
				t.Errorf("%d writes", n)
			}
			if !bytes.Equal(diskContent(t, a)[:4096], make([]byte, 4096)) {
				t.Error("the half-written disk has a boot record")
			}
		})
	}
}

func TestWritingPausesWithoutAGrant(t *testing.T) {
	f := newFake(t)
	a, screen := testAgent(t, f)
	var writes, silent, during atomic.Int32
	a.openDisk = func(named diskName) (target, disk, error) {
		opened, found, err := a.machine.open(named)
		return slowDisk{opened, 30 * time.Millisecond, &writes}, found, err
	}
	var first atomic.Int64 // when the daemon fell silent, after its first answer
	f.hook("/agent/progress", func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		now := time.Now().UnixMilli()
		if first.CompareAndSwap(0, now) {
			return false
		}
		switch since := now - first.Load(); {
		case since > 500:
			during.CompareAndSwap(0, writes.Load())
			return false
		case since > 200: // the grant ran out at 100
			silent.CompareAndSwap(0, writes.Load())
		}
		w.WriteHeader(503)
		return true
	})
	j := f.installJob(testImage(), 0)
	j.GrantSeconds = 0.1
	f.orders = []work{{Work: "install", Job: j}}
	a.every = 5 * time.Millisecond
	if err := runAgent(t, a); err != nil {
		t.Fatal(err)
	}
	if f.report.Outcome != "done" {
		t.Errorf("report %+v", f.report)
	}
	if silent.Load() == 0 || during.Load() != silent.Load() {
		t.Errorf("%d writes without a grant, %d before", during.Load()-silent.Load(), silent.Load())
	}
	if !strings.Contains(screen.String(), "writing pauses") || !strings.Contains(screen.String(), "writing goes on") {
		t.Error(screen)
	}
}

// badDisk forgets or lies.
type badDisk struct {
	target
	writeErr error
	flip     int64 // a byte which reads back wrong, or -1
}

func (b badDisk) WriteAt(p []byte, offset int64) (int, error) {
	if b.writeErr != nil && offset > 1<<20 {
		return 0, b.writeErr
	}
	return b.target.WriteAt(p, offset)
}

func (b badDisk) ReadAt(p []byte, offset int64) (int, error) {
	n, err := b.target.ReadAt(p, offset)
	if b.flip >= offset && b.flip < offset+int64(n) {
		p[b.flip-offset] ^= 0x10
	}
	return n, err
}

func TestBadDisks(t *testing.T) {
	for _, c := range []struct {
		name, code string
		err        error
		flip       int64
	}{
		{"ENOSPC", "write-error", syscall.ENOSPC, -1},
		{"EIO", "write-error", syscall.EIO, -1},
		{"a bit reads back wrong", "read-back-mismatch", nil, 1 << 20},
		{"the seed reads back wrong", "read-back-mismatch", nil, 4<<20 + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			a, _ := testAgent(t, f)
			f.seed = make([]byte, 4096)
			a.openDisk = func(named diskName) (target, disk, error) {
				opened, found, err := a.machine.open(named)
				return badDisk{opened, c.err, c.flip}, found, err
			}
			f.orders = []work{{Work: "install", Job: f.installJob(testImage(), 4<<20)}}
			if err := runAgent(t, a); err != nil {
				t.Fatal(err)
			}
			if f.report.Code != c.code {
				t.Errorf("report %+v", f.report)
			}
			blank := 1 << 20
			if c.err != nil { // the write stopped before the first chunk, which comes last
				blank = 256 << 10
			}
			if !bytes.Equal(diskContent(t, a)[:blank], make([]byte, blank)) {
				t.Errorf("the first %d bytes are not blank", blank)
			}
		})
	}
}

func TestClean(t *testing.T) {
	cleanJob := func() work {
		return work{Work: "clean", Job: &job{ID: "4.1.clean", Mode: "zero", GrantSeconds: 20,
			Disk: diskName{Path: "/dev/vda", SizeBytes: testDisk, Serial: "d1"}}}
	}
	t.Run("clean", func(t *testing.T) {
		f := newFake(t)
		a, _ := testAgent(t, f)
		f.orders = []work{cleanJob()}
		if err := runAgent(t, a); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(diskContent(t, a), make([]byte, testDisk)) {
			t.Error("the disk is not zero")
		}
		if f.report.Outcome != "done" || f.report.Bytes != testDisk || f.report.Digest != "" {
			t.Errorf("report %+v", f.report)
		}
	})
	t.Run("not verified", func(t *testing.T) {
		f := newFake(t)
		a, _ := testAgent(t, f)
		a.openDisk = func(named diskName) (target, disk, error) {
			opened, found, err := a.machine.open(named)
			return badDisk{opened, nil, 5 << 20}, found, err
		}
		f.orders = []work{cleanJob()}
		if err := runAgent(t, a); err != nil || f.report.Code != "clean-not-verified" {
			t.Errorf("%v, report %+v", err, f.report)
		}
	})
	t.Run("another disk", func(t *testing.T) {
		f := newFake(t)
		a, _ := testAgent(t, f)
		order := cleanJob()
		order.Job.Disk.Serial = "d2"
		f.orders = []work{order}
		if err := runAgent(t, a); err != nil || f.report.Code != "disk-mismatch" {
			t.Errorf("%v, report %+v", err, f.report)
		}
		untouched(t, a)
	})
}

func TestFinalRefusals(t *testing.T) {
	for code, status := range map[string]int{"ticket-invalid": 403, "ticket-expired": 410, "ticket-stale": 409, "boot-contested": 409} {
		t.Run(code, func(t *testing.T) {
			f := newFake(t)
			a, screen := testAgent(t, f)
			f.hook("/agent/redeem", func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
				refuse(w, status, code)
				return true
			})
			var refusal *problem
			if err := runAgent(t, a); !errors.As(err, &refusal) || refusal.Code != code {
				t.Error(err, screen)
			}
			if n := f.count("/agent/redeem", ""); n != 1 {
				t.Errorf("%d attempts", n)
			}
			untouched(t, a)
		})
	}
}

func TestAnotherCertificateIsNotTrusted(t *testing.T) {
	f := newFake(t)
	a, screen := testAgent(t, f)
	a.client = newClient(bootArguments{server: f.tls.URL, pin: [32]byte{1}}, a.console)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := a.run(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if f.count("/agent/redeem", "") != 0 || !strings.Contains(screen.String(), "trust only") {
		t.Error(screen)
	}
}

func TestTheKeyOutlivesTheAgent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	first, err := loadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := loadKey(path)
	if err != nil || !first.Equal(second) {
		t.Error("another key after a restart", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
}

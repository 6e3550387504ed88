package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// fakeDaemon speaks the daemon's side of the protocol over TLS and serves
// chunks over plain HTTP. A hook of the same path may answer instead (true).
type fakeDaemon struct {
	t      *testing.T
	tls    *httptest.Server
	plain  *httptest.Server
	mu     sync.Mutex
	hooks  map[string]func(http.ResponseWriter, *http.Request, []byte) bool
	calls  []string // "path body"
	orders []work   // what /agent/next says, one after the other; then "poweroff"
	chunks map[string][]byte
	seed   []byte
	then   string
	report report
	key    []byte
}

func newFake(t *testing.T) *fakeDaemon {
	f := &fakeDaemon{t: t, hooks: map[string]func(http.ResponseWriter, *http.Request, []byte) bool{}, chunks: map[string][]byte{}, then: "next"}
	f.tls = httptest.NewTLSServer(http.HandlerFunc(f.serve))
	f.plain = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.tls.Close)
	t.Cleanup(f.plain.Close)
	return f
}

func (f *fakeDaemon) pin() [32]byte { return sha256.Sum256(f.tls.Certificate().Raw) }

func (f *fakeDaemon) hook(path string, h func(http.ResponseWriter, *http.Request, []byte) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hooks[path] = h
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"type":"about:blank","title":"Refused","status":%d,"code":%q,"detail":"because of %s"}`, status, code, code)
}

func (f *fakeDaemon) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	path := r.URL.Path
	if strings.HasPrefix(path, "/chunks/") {
		path = "/chunks/"
	}
	f.mu.Lock()
	f.calls = append(f.calls, path+" "+string(body))
	hook := f.hooks[path]
	f.mu.Unlock()
	if hook != nil && hook(w, r, body) {
		return
	}
	f.answer(w, r, path, body)
}

func (f *fakeDaemon) answer(w http.ResponseWriter, r *http.Request, path string, body []byte) {
	if path != "/agent/redeem" && path != "/chunks/" && r.Header.Get("Authorization") != "Bearer credential-1" {
		refuse(w, 401, "credential-invalid")
		return
	}
	switch path {
	case "/agent/redeem":
		var request redeemRequest
		_ = json.Unmarshal(body, &request)
		key, _ := base64.StdEncoding.DecodeString(request.PublicKey)
		signature, _ := base64.StdEncoding.DecodeString(request.Signature)
		if !ed25519.Verify(key, []byte("remuda-redeem\n"+request.Ticket), signature) {
			refuse(w, 403, "ticket-invalid")
			return
		}
		f.key = key
		fmt.Fprint(w, `{"credential":"credential-1","hostId":"h1","hostName":"node-1","boot":3}`)
	case "/agent/next":
		f.mu.Lock()
		defer f.mu.Unlock()
		order := work{Work: "poweroff"}
		if len(f.orders) > 0 {
			order, f.orders = f.orders[0], f.orders[1:]
		}
		_ = json.NewEncoder(w).Encode(order)
	case "/agent/seed":
		_, _ = w.Write(f.seed)
	case "/agent/report":
		f.mu.Lock()
		defer f.mu.Unlock()
		_ = json.Unmarshal(body, &f.report)
		fmt.Fprintf(w, `{"then":%q}`, f.then)
	case "/chunks/":
		content, ok := f.chunks[strings.TrimPrefix(r.URL.Path, "/chunks/")]
		if !ok {
			w.WriteHeader(404)
			return
		}
		_, _ = w.Write(content)
	default:
		w.WriteHeader(204)
	}
}

// count is how often a path was called with a body that contains part.
func (f *fakeDaemon) count(path, part string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, call := range f.calls {
		if strings.HasPrefix(call, path+" ") && strings.Contains(call, part) {
			n++
		}
	}
	return n
}

// image cuts raw content into chunks and keeps their stored form.
func (f *fakeDaemon) image(raw []byte, chunkBytes int) *image {
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	result := &image{Digest: "sha256:" + hex.EncodeToString(sum[:]), SizeBytes: int64(len(raw)), ChunkBytes: int64(chunkBytes)}
	for i := 0; len(raw) > 0; i++ {
		part := raw[:min(chunkBytes, len(raw))]
		raw = raw[len(part):]
		if len(bytes.Trim(part, "\x00")) == 0 {
			result.Chunks = append(result.Chunks, chunk{Zero: true, SizeBytes: int64(len(part))})
			continue
		}
		sum := sha256.Sum256(part)
		c := chunk{SHA256: hex.EncodeToString(sum[:]), SizeBytes: int64(len(part)), Encoding: "zstd"}
		stored := encoder.EncodeAll(part, nil)
		if i%2 == 1 {
			c.Encoding, stored = "raw", bytes.Clone(part)
		}
		c.StoredBytes = int64(len(stored))
		f.chunks[c.SHA256] = stored
		result.Chunks = append(result.Chunks, c)
	}
	return result
}

const testDisk = 8 << 20

// testMachine is a machine with one disk, a regular file full of old content.
func testMachine(t *testing.T) machine {
	t.Helper()
	root := t.TempDir()
	for path, content := range map[string]string{
		"sys/block/vda/size":              fmt.Sprint(testDisk / 512),
		"sys/block/vda/serial":            "d1",
		"sys/block/vda/dev":               "254:0",
		"sys/block/vda/ro":                "0",
		"sys/block/vda/removable":         "0",
		"sys/block/vda/queue/rotational":  "1",
		"sys/block/loop0/size":            "8",
		"sys/block/sr0/size":              "8",
		"proc/self/mountinfo":             "22 1 0:21 / /proc rw - proc proc rw\n",
		"proc/cpuinfo":                    "processor\t: 0\nmodel name\t: Test CPU\nphysical id\t: 0\ncore id\t: 0\n\nprocessor\t: 1\nphysical id\t: 0\ncore id\t: 0\n",
		"proc/meminfo":                    "MemTotal:      1024 kB\n",
		"sys/class/net/eth0/device/x":     "",
		"sys/class/net/eth0/address":      "52:54:00:AA:00:01",
		"sys/class/net/eth0/carrier":      "1",
		"sys/class/net/eth0/speed":        "-1",
		"sys/class/net/lo/address":        "00:00:00:00:00:00",
		"sys/class/dmi/id/product_serial": "To Be Filled By O.E.M.",
		"sys/class/dmi/id/product_uuid":   "4C4C4544-0000-1000-8000-ABCDEF012345",
		"dev/vda":                         strings.Repeat("old!", testDisk/4),
	} {
		writeFile(t, filepath.Join(root, path), content)
	}
	return machine{root: root, plainDisk: true}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// testAgent is an agent of that machine, with short delays and no power switch.
func testAgent(t *testing.T, f *fakeDaemon) (*agent, *bytes.Buffer) {
	t.Helper()
	screen := &bytes.Buffer{}
	out := newConsole(screen)
	out.hide("ticket-1")
	key, err := loadKey(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{machine: testMachine(t), console: out, ticket: "ticket-1", key: key,
		client: newClient(bootArguments{server: f.tls.URL, pin: f.pin()}, out),
		every:  20 * time.Millisecond, idle: time.Millisecond, power: func(string) error { return nil }}
	a.client.firstDelay = 2 * time.Millisecond
	t.Cleanup(a.client.http.CloseIdleConnections)
	return a, screen
}

func (f *fakeDaemon) installJob(raw []byte, seedOffset int64) *job {
	j := &job{ID: "3.1.install", Generation: 1, Disk: diskName{Path: "/dev/vda", SizeBytes: testDisk, Serial: "d1"},
		Image: f.image(raw, 256<<10), ChunkURL: f.plain.URL + "/chunks/", GrantSeconds: 20}
	if f.seed != nil {
		j.Seed = &seed{OffsetBytes: seedOffset, SizeBytes: int64(len(f.seed))}
	}
	return j
}

// testImage is 3 MiB and a bit: content, a hole of zeros, content.
func testImage() []byte {
	raw := make([]byte, 3<<20+512)
	chance := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < len(raw); i += 4 {
		if i < 1<<20 || i >= 2<<20 {
			copy(raw[i:i+4], bytes.Repeat([]byte{byte(chance.Uint32())}, 4))
		}
	}
	return raw
}

func diskContent(t *testing.T, a *agent) []byte {
	t.Helper()
	content, err := os.ReadFile(a.path("dev/vda"))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

package main

import "fmt"

// The messages of the agent's protocol: JSON over the pinned TLS connection
// to the daemon. Field names are the wire's own.

type redeemRequest struct {
	Ticket    string `json:"ticket"`
	PublicKey string `json:"publicKey"`
	Signature string `json:"signature"`
}

type redeemAnswer struct {
	Credential string `json:"credential"`
	HostID     string `json:"hostId"`
	HostName   string `json:"hostName"`
	Boot       int64  `json:"boot"`
}

type nextRequest struct {
	Boot int64 `json:"boot"`
}

// work is the answer to /agent/next.
type work struct {
	Work string `json:"work"`
	Job  *job   `json:"job"`
}

// job is an order to change exactly one disk. Image, ChunkURL, Seed
// and who has signed the image belong to an install, Mode to a clean.
type job struct {
	ID           string   `json:"id"`
	Generation   int64    `json:"generation"`
	Disk         diskName `json:"disk"`
	GrantSeconds float64  `json:"grantSeconds"`

	Image    *image `json:"image"`
	ChunkURL string `json:"chunkUrl"`
	Seed     *seed  `json:"seed"`

	Signatures []signature `json:"signatures"`
	Trust      *trust      `json:"trust"`

	Mode string `json:"mode"`
}

// diskName is how the daemon names a disk: whatever it names must be found
// exactly so on the machine, what it leaves out is not compared.
type diskName struct {
	Path      string `json:"path"`
	SizeBytes int64  `json:"sizeBytes"`
	Serial    string `json:"serial,omitempty"`
	WWN       string `json:"wwn,omitempty"`
	Model     string `json:"model,omitempty"`
}

// image is a raw disk image as a list of chunks. Digest is "sha256:" and the
// hex SHA-256 of the whole raw image.
type image struct {
	Digest     string  `json:"digest"`
	SizeBytes  int64   `json:"sizeBytes"`
	ChunkBytes int64   `json:"chunkBytes"`
	Chunks     []chunk `json:"chunks"`
}

// chunk is either a run of zeros or stored content, named by the SHA-256 of
// its raw (decompressed) bytes.
type chunk struct {
	Zero        bool   `json:"zero"`
	SHA256      string `json:"sha256"`
	SizeBytes   int64  `json:"sizeBytes"`
	StoredBytes int64  `json:"storedBytes"`
	Encoding    string `json:"encoding"`
}

// seed says where on the disk the first-boot file system goes.
type seed struct {
	OffsetBytes int64 `json:"offsetBytes"`
	SizeBytes   int64 `json:"sizeBytes"`
}

type seedRequest struct {
	Job string `json:"job"`
}

type progressReport struct {
	Job        string `json:"job"`
	Step       string `json:"step"`
	DoneBytes  int64  `json:"doneBytes"`
	TotalBytes int64  `json:"totalBytes"`
}

type report struct {
	Job     string  `json:"job"`
	Outcome string  `json:"outcome"`
	Digest  string  `json:"digest,omitempty"`
	Bytes   int64   `json:"bytes,omitempty"`
	Disk    *disk   `json:"disk,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`

	Code   string         `json:"code,omitempty"`
	Reason string         `json:"reason,omitempty"`
	Detail map[string]any `json:"detail,omitempty"`
}

type reportAnswer struct {
	Then string `json:"then"`
}

// problem is a refusal by the daemon (RFC 9457).
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func (p *problem) Error() string {
	text := p.Title
	if p.Detail != "" {
		text = p.Detail
	}
	if p.Code == "" {
		return fmt.Sprintf("the server refused (HTTP %d): %s", p.Status, text)
	}
	return fmt.Sprintf("the server refused (HTTP %d, %s): %s", p.Status, p.Code, text)
}

// final tells that this boot can never be served again: its ticket or its
// credential is not, or no longer, good.
func (p *problem) final() bool {
	switch p.Code {
	case "ticket-invalid", "ticket-expired", "ticket-stale", "boot-contested", "credential-invalid":
		return true
	}
	return p.Status == 401
}

// stale tells that the job is no longer this machine's to do.
func (p *problem) stale() bool { return p.Code == "job-stale" }

// failure is why a job could not be done, in the daemon's closed set of codes
// and one plain sentence for the operator.
type failure struct {
	code   string
	reason string
	detail map[string]any
}

func (f *failure) Error() string { return f.code + ": " + f.reason }

func fail(code, format string, values ...any) *failure {
	return &failure{code: code, reason: fmt.Sprintf(format, values...)}
}

func (f *failure) with(detail map[string]any) *failure {
	f.detail = detail
	return f
}

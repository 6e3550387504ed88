package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// trust says whose images this machine may run, as the daemon's operator has
// set it down. It comes over the pinned connection.
type trust struct {
	Required bool         `json:"required"`
	Keys     []trustedKey `json:"keys"`
}

// trustedKey: KeyID names the key in signatures, PublicKey is base64 of the 32
// bytes of RFC 8032 §5.1.5.
type trustedKey struct {
	Name      string `json:"name"`
	KeyID     string `json:"keyId"`
	PublicKey string `json:"publicKey"`
}

// signature: base64 of the 64 bytes of RFC 8032 §5.1.6.
type signature struct {
	KeyID     string `json:"keyId"`
	Signature string `json:"signature"`
}

// statement is what is signed of an image, made anew from the job: the bytes
// that src/image/signature.ts describes. It names every chunk by its hash, and
// the agent believes a chunk only by that hash, so what is written is what was
// signed.
func (j *job) statement() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "remuda image 1\ndigest %s\nsize %d\nchunk %d\n", j.Image.Digest, j.Image.SizeBytes, j.Image.ChunkBytes)
	if j.Seed == nil {
		out.WriteString("seed none\n")
	} else {
		fmt.Fprintf(&out, "seed %d %d\n", j.Seed.OffsetBytes, j.Seed.SizeBytes)
	}
	for _, c := range j.Image.Chunks {
		if c.Zero {
			out.WriteString("zero\n")
		} else {
			out.WriteString(c.SHA256 + "\n")
		}
	}
	return out.Bytes()
}

// checkSignatures judges the image before the first write, by the daemon's own
// rule: a signature of a trusted key that does not hold refuses it, whatever
// else it is signed by; other keys' say nothing; where one is required, one of
// a trusted key must hold. It returns who has signed.
func (j *job) checkSignatures() ([]string, error) {
	if j.Trust == nil {
		if len(j.Signatures) > 0 {
			return nil, fail("internal", "The install job %s has signatures, but does not say whose count.", j.ID)
		}
		return nil, nil
	}
	statement := j.statement()
	signers, others := []string{}, []string{}
	for _, s := range j.Signatures {
		i := slices.IndexFunc(j.Trust.Keys, func(k trustedKey) bool { return k.KeyID == s.KeyID })
		if i < 0 {
			others = append(others, s.KeyID[:min(16, len(s.KeyID))])
			continue
		}
		key := j.Trust.Keys[i]
		if !key.signed(statement, s.Signature) {
			return nil, j.invalid("signature-invalid", "The signature of %s does not fit image %s: the image or the signature was changed.", key.Name, j.Image.Digest)
		}
		signers = append(signers, key.Name)
	}
	switch {
	case len(signers) > 0 || !j.Trust.Required:
		return signers, nil
	case len(others) > 0:
		return nil, j.invalid("image-unsigned", "The image %s is signed by key %s, which is not a trusted one.", j.Image.Digest, strings.Join(others, ", "))
	}
	return nil, j.invalid("image-unsigned", "The image %s is not signed, and a signature is required.", j.Image.Digest)
}

func (j *job) invalid(code, format string, values ...any) *failure {
	return fail(code, format+" No disk was written.", values...).with(map[string]any{"digest": j.Image.Digest})
}

// signed: a key or a signature of another length or alphabet signs nothing.
func (k trustedKey) signed(statement []byte, text string) bool {
	public, err := base64.StdEncoding.Strict().DecodeString(k.PublicKey)
	if err != nil || len(public) != ed25519.PublicKeySize {
		return false
	}
	given, err := base64.StdEncoding.Strict().DecodeString(text)
	return err == nil && len(given) == ed25519.SignatureSize && ed25519.Verify(public, statement, given)
}

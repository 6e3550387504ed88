package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"
)

// signedJob and its signature were made by src/image/signature.ts with the key
// whose seed is 32 times 07.
func signedJob() *job {
	hash := func(two string) string { return strings.Repeat(two, 32) }
	return &job{
		ID: "1.1.install",
		Image: &image{Digest: "sha256:" + hash("ab"), SizeBytes: 4608, ChunkBytes: 2048, Chunks: []chunk{
			{SHA256: hash("01"), SizeBytes: 2048, StoredBytes: 7, Encoding: "zstd"},
			{Zero: true, SizeBytes: 2048},
			{SHA256: hash("02"), SizeBytes: 512, StoredBytes: 512, Encoding: "raw"},
		}},
		Seed: &seed{OffsetBytes: 1024, SizeBytes: 512},
		Signatures: []signature{{
			KeyID:     "324be2dea8bc44461b0233e51fa48902ed6b1cc671e7739af2551e0bfe68f54e",
			Signature: "IVeiib51qQOIl8VJ1h3gtS6474GdDGFhTrZ+oMok4HiXgM4Q2NTjND2k8P6GPLsZvpbZK5ATV9AV4y4L3LrqBw==",
		}},
		Trust: &trust{Required: true, Keys: []trustedKey{{
			Name:      "release",
			KeyID:     "324be2dea8bc44461b0233e51fa48902ed6b1cc671e7739af2551e0bfe68f54e",
			PublicKey: "6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=",
		}}},
	}
}

func TestStatement(t *testing.T) {
	want := "remuda image 1\ndigest sha256:" + strings.Repeat("ab", 32) + "\nsize 4608\nchunk 2048\nseed 1024 512\n" +
		strings.Repeat("01", 32) + "\nzero\n" + strings.Repeat("02", 32) + "\n"
	if found := string(signedJob().statement()); found != want {
		t.Errorf("%q", found)
	}
	j := signedJob()
	j.Seed = nil
	if !strings.Contains(string(j.statement()), "\nchunk 2048\nseed none\n0101") {
		t.Errorf("%q", j.statement())
	}
}

func TestWhoseImagesAreRun(t *testing.T) {
	for _, c := range []struct {
		name, code string
		change     func(*job)
	}{
		{"as signed", "", func(*job) {}},
		{"an unknown key besides", "", func(j *job) {
			j.Signatures = append([]signature{{KeyID: "ffff", Signature: "x"}}, j.Signatures...)
		}},
		{"packed in another way", "", func(j *job) { j.Image.Chunks[0].StoredBytes, j.Image.Chunks[0].Encoding = 2048, "raw" }},
		{"not signed, none required", "", func(j *job) { j.Signatures, j.Trust.Required = nil, false }},
		{"a daemon that knows no signatures", "", func(j *job) { j.Signatures, j.Trust = nil, nil }},
		{"not signed", "image-unsigned", func(j *job) { j.Signatures = nil }},
		{"no key trusted", "image-unsigned", func(j *job) { j.Trust.Keys = nil }},
		{"signed by another key", "image-unsigned", func(j *job) { j.Signatures[0].KeyID = strings.Repeat("f", 64) }},
		{"a key ID that is short", "image-unsigned", func(j *job) { j.Signatures[0].KeyID = "f" }},
		{"signatures without trust", "internal", func(j *job) { j.Trust = nil }},
		{"another digest", "signature-invalid", func(j *job) { j.Image.Digest = "sha256:" + strings.Repeat("ac", 32) }},
		{"another size", "signature-invalid", func(j *job) { j.Image.SizeBytes++ }},
		{"chunks of another length", "signature-invalid", func(j *job) { j.Image.ChunkBytes *= 2 }},
		{"another chunk", "signature-invalid", func(j *job) { j.Image.Chunks[0].SHA256 = strings.Repeat("03", 32) }},
		{"chunks in another order", "signature-invalid", func(j *job) { j.Image.Chunks[0], j.Image.Chunks[1] = j.Image.Chunks[1], j.Image.Chunks[0] }},
		{"a chunk less", "signature-invalid", func(j *job) { j.Image.Chunks = j.Image.Chunks[:2] }},
		{"a hole instead of a chunk", "signature-invalid", func(j *job) { j.Image.Chunks[2] = chunk{Zero: true, SizeBytes: 512} }},
		{"the seed elsewhere", "signature-invalid", func(j *job) { j.Seed.OffsetBytes = 512 }},
		{"no seed", "signature-invalid", func(j *job) { j.Seed = nil }},
		{"a signature of zeros", "signature-invalid", func(j *job) { j.Signatures[0].Signature = base64.StdEncoding.EncodeToString(make([]byte, 64)) }},
		{"an empty signature", "signature-invalid", func(j *job) { j.Signatures[0].Signature = "" }},
		{"a short key", "signature-invalid", func(j *job) { j.Trust.Keys[0].PublicKey = "6kps" }},
		{"a wrong one, none required", "signature-invalid", func(j *job) { j.Trust.Required, j.Image.SizeBytes = false, 1 }},
		{"a wrong one after a good one", "signature-invalid", func(j *job) {
			j.Signatures = append(j.Signatures, signature{KeyID: j.Signatures[0].KeyID, Signature: "AAAA"})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := signedJob()
			c.change(j)
			_, err := j.checkSignatures()
			found := ""
			if err != nil {
				found = asFailure(err).code
			}
			if found != c.code {
				t.Errorf("%v instead of %q", err, c.code)
			}
		})
	}
}

// signedFor signs a fake daemon's job with a new key and trusts it.
func signedFor(t *testing.T, j *job) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	j.Signatures = []signature{{KeyID: "k1", Signature: encode(ed25519.Sign(private, j.statement()))}}
	j.Trust = &trust{Required: true, Keys: []trustedKey{{Name: "release", KeyID: "k1", PublicKey: encode(public)}}}
}

func TestASignedImageIsInstalled(t *testing.T) {
	f := newFake(t)
	a, screen := testAgent(t, f)
	j := f.installJob(testImage(), 0)
	signedFor(t, j)
	f.orders = []work{{Work: "install", Job: j}}
	if err := runAgent(t, a); err != nil || f.report.Outcome != "done" {
		t.Fatal(err, f.report, screen)
	}
	if !strings.Contains(screen.String(), "the image is signed by release") {
		t.Error(screen)
	}
}

func TestABadSignatureLeavesTheDiskAlone(t *testing.T) {
	f := newFake(t)
	a, screen := testAgent(t, f)
	j := f.installJob(testImage(), 0)
	signedFor(t, j)
	// A consistent image, but not the signed one: the last chunk is another.
	other := testImage()
	other[len(other)-1] ^= 1
	j.Image = f.image(other, 256<<10)
	f.orders = []work{{Work: "install", Job: j}}
	if err := runAgent(t, a); err != nil {
		t.Fatal(err, screen)
	}
	untouched(t, a)
	if f.report.Outcome != "failed" || f.report.Code != "signature-invalid" || f.report.Detail["digest"] != j.Image.Digest {
		t.Errorf("report %+v", f.report)
	}
	if n := f.count("/chunks/", ""); n != 0 {
		t.Errorf("%d chunks were fetched", n)
	}
}

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	callTimeout = 10 * time.Second
	pollTimeout = 40 * time.Second // /agent/next answers within 20 s
	answerLimit = 64 << 20         // a manifest of a 1 TiB image is about 40 MB
)

// client speaks with the daemon. After a failure it says so once, and once
// more when the daemon answers again, so that the console stays readable.
type client struct {
	base       string
	http       *http.Client
	console    *console
	credential string
	firstDelay time.Duration
}

func newClient(boot bootArguments, out *console) *client {
	return &client{base: boot.server, console: out, http: &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 10 * time.Second}).DialContext,
			TLSClientConfig:     pinnedTLS(boot.pin),
			TLSHandshakeTimeout: 10 * time.Second,
			MaxIdleConnsPerHost: 4,
			IdleConnTimeout:     30 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// pinnedTLS trusts exactly one certificate. Names and dates do not count: the
// machine's clock may be years off, and the pin came by the boot itself.
func pinnedTLS(pin [32]byte) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return errors.New("the server showed no certificate")
			}
			found := sha256.Sum256(state.PeerCertificates[0].Raw)
			if found != pin {
				return fmt.Errorf("the server's certificate is %s, this boot was told to trust only %s",
					hex.EncodeToString(found[:]), hex.EncodeToString(pin[:]))
			}
			return nil
		},
	}
}

// once makes one attempt. A refusal comes back as *problem, anything else that
// went wrong as another error. out may be nil, a pointer to decode JSON into,
// or a *[]byte for a body as it is.
func (c *client) once(ctx context.Context, path string, timeout time.Duration, body, out any) error {
	payload, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if c.credential != "" {
		request.Header.Set("Authorization", "Bearer "+c.credential)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return withoutAddress(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return fmt.Errorf("the answer to %s broke off: %w", path, err)
	}
	return readAnswer(path, response.StatusCode, content, out)
}

func readAnswer(path string, status int, content []byte, out any) error {
	if status < 200 || status > 299 {
		refusal := &problem{Title: http.StatusText(status)}
		_ = json.Unmarshal(content, refusal) // an empty or foreign body leaves the status text
		refusal.Status = status
		return refusal
	}
	switch target := out.(type) {
	case nil:
		return nil
	case *[]byte:
		*target = content
		return nil
	}
	if err := json.Unmarshal(content, out); err != nil {
		return fmt.Errorf("the answer to %s is not readable: %w", path, err)
	}
	return nil
}

// withoutAddress drops the address which net/http puts in front of an error:
// the console line has said what was asked.
func withoutAddress(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// passing tells a trouble that goes away by itself from a refusal.
func passing(err error) bool {
	var refusal *problem
	if errors.As(err, &refusal) {
		return refusal.Status >= 500 || refusal.Status == 408 || refusal.Status == 429
	}
	return true
}

// insist repeats the call until it is answered or refused for good.
func (c *client) insist(ctx context.Context, path string, timeout time.Duration, body, out any) error {
	wait := backoff{first: c.firstDelay}
	for {
		err := c.once(ctx, path, timeout, body, out)
		if err == nil {
			if wait.failures > 0 {
				c.console.say("the server answers again")
			}
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !passing(err) {
			return err
		}
		if wait.failures%8 == 0 {
			c.console.say("%s: %v; trying again", path, err)
		}
		if err := sleep(ctx, wait.delay()); err != nil {
			return err
		}
	}
}

package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// console prints one line per event for a person who stands in front of the
// machine or reads its serial port. Secrets handed to hide are blotted out,
// wherever they might come from (a server's error text, for one).
type console struct {
	mu      sync.Mutex
	out     io.Writer
	uptime  func() time.Duration
	secrets []string
}

func newConsole(out io.Writer) *console { return &console{out: out, uptime: uptime} }

func (c *console) hide(secret string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if secret != "" {
		c.secrets = append(c.secrets, secret)
	}
}

// say prints a line with the seconds since boot in front.
func (c *console) say(format string, values ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := fmt.Sprintf(format, values...)
	for _, secret := range c.secrets {
		text = strings.ReplaceAll(text, secret, "(secret)")
	}
	text = strings.Map(printable, text)
	fmt.Fprintf(c.out, "[%8.2f] remuda: %s\n", c.uptime().Seconds(), text)
}

// printable keeps a hostile disk model or server text from driving the terminal.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}

func uptime() time.Duration {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	seconds, _ := strconv.ParseFloat(first, 64)
	return time.Duration(seconds * float64(time.Second))
}

// size renders bytes for people: "24.1 MiB".
func size(bytes int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	value, unit := float64(bytes), 0
	for value >= 1024 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}

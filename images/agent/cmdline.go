package main

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
)

// bootArguments is what the daemon wrote on the kernel's command line.
type bootArguments struct {
	server string   // base address of the daemon, without a trailing slash
	pin    [32]byte // SHA-256 of the daemon's certificate (DER)
	ticket string   // this boot's one-time ticket; never printed
}

// parseCmdline reads the remuda.* words of a kernel command line. A word that
// is given twice counts the last time, as the kernel does it.
func parseCmdline(line string) (bootArguments, error) {
	words := map[string]string{}
	for _, word := range strings.Fields(line) {
		if name, value, ok := strings.Cut(word, "="); ok {
			words[name] = value
		}
	}
	var boot bootArguments
	address, err := url.Parse(words["remuda.server"])
	if err != nil || address.Scheme != "https" || address.Host == "" {
		return boot, fmt.Errorf("remuda.server on the kernel command line is not an https address: %q", words["remuda.server"])
	}
	pin, err := hex.DecodeString(words["remuda.cert"])
	if err != nil || len(pin) != len(boot.pin) {
		return boot, fmt.Errorf("remuda.cert on the kernel command line is not 64 hex digits: %q", words["remuda.cert"])
	}
	if words["remuda.ticket"] == "" {
		return boot, fmt.Errorf("remuda.ticket is missing on the kernel command line")
	}
	boot.server = strings.TrimRight(address.String(), "/")
	copy(boot.pin[:], pin)
	boot.ticket = words["remuda.ticket"]
	return boot, nil
}

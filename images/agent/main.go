// Agent runs in Remuda's ramdisk on the machine that is to be changed. It
// redeems the boot's ticket, tells the daemon what the machine is, and then
// installs or cleans exactly the disk the daemon names, proving what it did by
// reading the disk back. It listens on nothing and gives nobody a shell.
package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"time"
)

const (
	keyPath      = "/run/remuda.key"
	diskPatience = 5 * time.Second  // how long to wait for a first disk to turn up
	finalPause   = 60 * time.Second // for a person to read why
)

func main() {
	out := newConsole(os.Stdout)
	if err := start(out); err != nil {
		var refusal *problem
		if errors.As(err, &refusal) {
			giveUp(out, err)
		}
		out.say("the agent stops: %v", err)
		os.Exit(1)
	}
	time.Sleep(time.Minute) // the machine goes down meanwhile
	os.Exit(1)
}

func start(out *console) error {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	boot, err := parseCmdline(strings.TrimSpace(string(line)))
	if err != nil {
		return err
	}
	out.hide(boot.ticket)
	key, err := loadKey(keyPath)
	if err != nil {
		return err
	}
	a := &agent{
		machine: machine{root: "/"},
		client:  newClient(boot, out),
		console: out,
		ticket:  boot.ticket,
		key:     key,
		every:   time.Second,
		idle:    time.Second,
		power:   power,
	}
	for waited := time.Duration(0); len(a.disks()) == 0 && waited < diskPatience; waited += 200 * time.Millisecond {
		time.Sleep(200 * time.Millisecond)
	}
	return a.run(context.Background())
}

// giveUp ends a boot that can never be served: nothing was or will be written.
func giveUp(out *console, why error) {
	out.say("%v", why)
	out.say("this boot cannot go on; no disk is written; the machine powers off in %.0f s", finalPause.Seconds())
	time.Sleep(finalPause)
	if err := power("poweroff"); err != nil {
		out.say("power off failed: %v", err)
	}
}

// power is reboot(2); the agent has the right to it without being process 1.
func power(how string) error {
	syscall.Sync()
	if how == "poweroff" {
		return syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	}
	return syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART)
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// inventory is what the machine is, as told to the daemon.
type inventory struct {
	UUID        string `json:"uuid,omitempty"`
	Serial      string `json:"serial,omitempty"`
	Vendor      string `json:"vendor,omitempty"`
	Product     string `json:"product,omitempty"`
	Firmware    string `json:"firmware"`
	Arch        string `json:"arch"`
	CPU         cpu    `json:"cpu"`
	MemoryBytes int64  `json:"memoryBytes"`
	Disks       []disk `json:"disks"`
	NICs        []nic  `json:"nics"`
	GPUs        []gpu  `json:"gpus"`
}

type cpu struct {
	Model   string `json:"model"`
	Cores   int    `json:"cores"`
	Threads int    `json:"threads"`
}

type nic struct {
	Name      string `json:"name"`
	MAC       string `json:"mac"`
	Driver    string `json:"driver,omitempty"`
	SpeedMbps int64  `json:"speedMbps,omitempty"`
	LinkUp    bool   `json:"linkUp"`
}

type gpu struct {
	Address string `json:"address"`
	Vendor  string `json:"vendor"`
	Device  string `json:"device"`
}

func (m machine) inventory() inventory {
	return inventory{
		UUID:        strings.ToLower(m.dmi("product_uuid")),
		Serial:      m.dmi("product_serial"),
		Vendor:      m.dmi("sys_vendor"),
		Product:     m.dmi("product_name"),
		Firmware:    m.firmware(),
		Arch:        arch(),
		CPU:         m.cpu(),
		MemoryBytes: m.memory(),
		Disks:       m.disks(),
		NICs:        m.nics(),
		GPUs:        m.gpus(),
	}
}

func (i inventory) summary() string {
	disks := make([]string, 0, len(i.Disks))
	for _, d := range i.Disks {
		disks = append(disks, d.label()+" "+size(d.SizeBytes))
	}
	return fmt.Sprintf("%s %s, %s, %d threads, %s memory, %d NICs, %d disks: %s",
		i.Vendor, i.Product, i.Firmware, i.CPU.Threads, size(i.MemoryBytes), len(i.NICs), len(disks), strings.Join(disks, ", "))
}

func arch() string {
	if runtime.GOARCH == "amd64" {
		return "x86_64"
	}
	return runtime.GOARCH
}

func (m machine) firmware() string {
	if _, err := os.Stat(m.path("sys/firmware/efi")); err == nil {
		return "uefi"
	}
	return "bios"
}

// cpu counts a core once however many threads it has: a (physical id, core id)
// pair of /proc/cpuinfo.
func (m machine) cpu() cpu {
	content, _ := os.ReadFile(m.path("proc/cpuinfo"))
	var found cpu
	cores := map[string]bool{}
	var socket string
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(name) {
		case "processor":
			found.Threads++
		case "model name":
			found.Model = value
		case "physical id":
			socket = value
		case "core id":
			cores[socket+"."+value] = true
		}
	}
	found.Cores = len(cores)
	if found.Cores == 0 {
		found.Cores = found.Threads
	}
	return found
}

// nics lists the hardware interfaces: those with a device behind them.
func (m machine) nics() []nic {
	found := []nic{}
	for _, name := range m.list("sys/class/net") {
		place := func(attribute string) string { return m.text("sys/class/net", name, attribute) }
		if _, err := os.Stat(m.path("sys/class/net", name, "device")); err != nil {
			continue
		}
		driver, _ := os.Readlink(m.path("sys/class/net", name, "device/driver"))
		if driver != "" {
			driver = filepath.Base(driver)
		}
		found = append(found, nic{
			Name:      name,
			MAC:       strings.ToLower(place("address")),
			Driver:    driver,
			SpeedMbps: max(0, m.number("sys/class/net", name, "speed")), // -1: not known
			LinkUp:    place("carrier") == "1",
		})
	}
	return found
}

// consoles are the makers of what only shows a console: the BMCs of nearly all
// servers bring one, hypervisors another. Who asks for a GPU does not mean them.
var consoles = map[string]bool{
	"1a03": true, // ASPEED
	"102b": true, // Matrox
	"19e5": true, // Huawei iBMC
	"1013": true, // Cirrus
	"1234": true, // QEMU
	"1b36": true, // QXL
	"1af4": true, // virtio
	"15ad": true, // VMware
	"1414": true, // Hyper-V
}

// gpus lists the PCI display controllers (base class 03h, PCI Code and ID
// Assignment 1.11, 1.4) that are more than a console.
func (m machine) gpus() []gpu {
	found := []gpu{}
	for _, address := range m.list("sys/bus/pci/devices") {
		attribute := func(name string) string {
			return strings.TrimPrefix(m.text("sys/bus/pci/devices", address, name), "0x")
		}
		if class := attribute("class"); len(class) != 6 || class[:2] != "03" {
			continue
		}
		if vendor := attribute("vendor"); !consoles[vendor] {
			found = append(found, gpu{Address: address, Vendor: vendor, Device: attribute("device")})
		}
	}
	return found
}

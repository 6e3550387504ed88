package main

import (
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// machine reads hardware facts from /sys, /proc and /dev below root, which is
// "/" on a real machine and a prepared folder in tests.
type machine struct {
	root      string
	plainDisk bool // tests only: a disk may be a regular file
}

func (m machine) path(parts ...string) string {
	return filepath.Join(append([]string{m.root}, parts...)...)
}

// text reads a small attribute file; what cannot be read is empty.
func (m machine) text(parts ...string) string {
	content, err := os.ReadFile(m.path(parts...))
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(strings.Trim(string(content), "\x00")), " ")
}

func (m machine) number(parts ...string) int64 {
	value, err := strconv.ParseInt(m.text(parts...), 10, 64)
	if err != nil {
		return 0
	}
	return value
}

func (m machine) list(parts ...string) []string {
	entries, err := os.ReadDir(m.path(parts...))
	if err != nil {
		return nil
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	sort.Strings(names)
	return names
}

// disk is a block device as the inventory reports it.
type disk struct {
	Path       string `json:"path"`
	Name       string `json:"name"`
	SizeBytes  int64  `json:"sizeBytes"`
	Model      string `json:"model,omitempty"`
	Serial     string `json:"serial,omitempty"`
	WWN        string `json:"wwn,omitempty"`
	Rotational bool   `json:"rotational"`
	Removable  bool   `json:"removable"`
	ReadOnly   bool   `json:"readOnly"`
	Bus        string `json:"bus,omitempty"`
}

// label names the disk for people: "/dev/vda (virtio serial d1)".
func (d disk) label() string {
	words := make([]string, 0, 3)
	switch {
	case d.Model != "":
		words = append(words, d.Model)
	case d.Bus != "":
		words = append(words, d.Bus)
	}
	if d.Serial != "" {
		words = append(words, "serial", d.Serial)
	}
	if len(words) == 0 {
		return d.Path
	}
	return d.Path + " (" + strings.Join(words, " ") + ")"
}

// Block devices which are no disks of the machine.
var notDisks = []string{"loop", "ram", "zram", "sr", "fd", "dm-", "md", "nbd", "mtdblock", "zd"}

func isDisk(name string) bool {
	for _, prefix := range notDisks {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return !strings.Contains(name, "boot") && !strings.HasSuffix(name, "rpmb") // eMMC's own partitions
}

func (m machine) disks() []disk {
	found := []disk{}
	for _, name := range m.list("sys/block") {
		if !isDisk(name) || m.text("sys/block", name, "hidden") == "1" {
			continue
		}
		if d, ok := m.disk(name); ok && d.SizeBytes > 0 {
			found = append(found, d)
		}
	}
	return found
}

// disk reads one disk by its kernel name. /sys/block/X/size counts 512-byte
// units whatever the disk's own block size is.
func (m machine) disk(name string) (disk, bool) {
	if _, err := os.Stat(m.path("sys/block", name, "size")); err != nil {
		return disk{}, false
	}
	vendor := m.text("sys/block", name, "device/vendor")
	if strings.HasPrefix(vendor, "0x") || vendor == "ATA" { // virtio's PCI vendor; libata's filler
		vendor = ""
	}
	return disk{
		Path:       "/dev/" + name,
		Name:       name,
		SizeBytes:  m.number("sys/block", name, "size") * 512,
		Model:      strings.TrimSpace(vendor + " " + m.text("sys/block", name, "device/model")),
		Serial:     m.serial(name),
		WWN:        m.wwn(name),
		Rotational: m.number("sys/block", name, "queue/rotational") == 1,
		Removable:  m.number("sys/block", name, "removable") == 1,
		ReadOnly:   m.number("sys/block", name, "ro") == 1,
		Bus:        m.bus(name),
	}, true
}

// serial: virtio-blk has it on the disk, NVMe on the controller, SCSI and SATA
// in the vital product data page 80h (SPC-4 §7.8.13) behind a 4-byte header.
func (m machine) serial(name string) string {
	for _, place := range []string{"serial", "device/serial"} {
		if serial := m.text("sys/block", name, place); serial != "" {
			return serial
		}
	}
	page, err := os.ReadFile(m.path("sys/block", name, "device/vpd_pg80"))
	if err != nil || len(page) <= 4 {
		return ""
	}
	return strings.TrimSpace(strings.Trim(string(page[4:]), "\x00"))
}

func (m machine) wwn(name string) string {
	for _, place := range []string{"wwid", "device/wwid"} {
		if wwn := m.text("sys/block", name, place); wwn != "" {
			return wwn
		}
	}
	return ""
}

// bus follows the device's place in the tree of /sys/devices.
func (m machine) bus(name string) string {
	switch {
	case strings.HasPrefix(name, "vd"):
		return "virtio"
	case strings.HasPrefix(name, "nvme"):
		return "nvme"
	case !strings.HasPrefix(name, "sd"):
		return ""
	}
	place, _ := os.Readlink(m.path("sys/block", name))
	switch {
	case strings.Contains(place, "/usb"):
		return "usb"
	case strings.Contains(place, "/ata"):
		return "sata"
	}
	return "scsi"
}

// mismatch lists what the job names and the machine does not have so.
func mismatch(named diskName, found disk) []string {
	differences := []string{}
	if named.SizeBytes != found.SizeBytes {
		differences = append(differences, "size is "+strconv.FormatInt(found.SizeBytes, 10)+" bytes, not "+strconv.FormatInt(named.SizeBytes, 10))
	}
	for _, pair := range []struct{ word, named, found string }{
		{"serial", named.Serial, found.Serial},
		{"WWN", named.WWN, found.WWN},
		{"model", named.Model, found.Model},
	} {
		if pair.named != "" && pair.named != pair.found {
			differences = append(differences, pair.word+" is "+strconv.Quote(pair.found)+", not "+strconv.Quote(pair.named))
		}
	}
	return differences
}

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCmdline(t *testing.T) {
	pin := strings.Repeat("ab", 32)
	for _, c := range []struct {
		name, line string
		good       bool
	}{
		{"whole", "quiet remuda.server=https://10.77.0.1:7443 remuda.cert=" + pin + " remuda.ticket=t BOOTIF=01-52", true},
		{"plain http", "remuda.server=http://10.77.0.1 remuda.cert=" + pin + " remuda.ticket=t", false},
		{"short pin", "remuda.server=https://10.77.0.1 remuda.cert=abab remuda.ticket=t", false},
		{"no ticket", "remuda.server=https://10.77.0.1 remuda.cert=" + pin, false},
		{"nothing", "", false},
	} {
		boot, err := parseCmdline(c.line)
		if (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.good && (boot.server != "https://10.77.0.1:7443" || boot.pin[31] != 0xab || boot.ticket != "t") {
			t.Errorf("%s: %+v", c.name, boot)
		}
	}
}

func TestBackoff(t *testing.T) {
	var b backoff
	for i := range 40 {
		if d := b.delay(); d < firstDelay/2 || d > longestDelay || i > 10 && d < longestDelay/2 {
			t.Errorf("delay %d is %v", i, d)
		}
	}
}

func TestConsoleShowsNoSecretAndNoControlCharacters(t *testing.T) {
	var screen bytes.Buffer
	out := &console{out: &screen, uptime: func() time.Duration { return 1500 * time.Millisecond }}
	out.hide("hunter2")
	out.say("ticket %s and \x1b[2J", "hunter2")
	if got := screen.String(); got != "[    1.50] remuda: ticket (secret) and  [2J\n" {
		t.Errorf("%q", got)
	}
}

func TestGPUs(t *testing.T) {
	m := machine{root: t.TempDir()}
	if found := m.gpus(); len(found) != 0 {
		t.Errorf("without PCI: %+v", found)
	}
	for address, ids := range map[string][3]string{
		"0000:00:02.0": {"0x030000", "0x1234", "0x1111"}, // QEMU's console
		"0000:03:00.0": {"0x030000", "0x1a03", "0x2000"}, // the BMC's
		"0000:3b:00.0": {"0x030200", "0x10de", "0x2330"},
		"0000:5e:00.0": {"0x038000", "0x1002", "0x740f"},
		"0000:01:00.0": {"0x020000", "0x8086", "0x1533"}, // a NIC
		"0000:02:00.0": {"", "0x10de", "0x2330"},
	} {
		for index, name := range []string{"class", "vendor", "device"} {
			file := m.path("sys/bus/pci/devices", address, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(ids[index]+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := []gpu{{"0000:3b:00.0", "10de", "2330"}, {"0000:5e:00.0", "1002", "740f"}}
	if found := m.gpus(); !slices.Equal(found, want) {
		t.Errorf("%+v", found)
	}
}

func TestInventory(t *testing.T) {
	m := testMachine(t)
	found := m.inventory()
	if len(found.Disks) != 1 || found.Disks[0].label() != "/dev/vda (virtio serial d1)" || !found.Disks[0].Rotational || found.Disks[0].SizeBytes != testDisk {
		t.Errorf("disks %+v", found.Disks)
	}
	if len(found.NICs) != 1 || found.NICs[0] != (nic{Name: "eth0", MAC: "52:54:00:aa:00:01", LinkUp: true}) {
		t.Errorf("nics %+v", found.NICs)
	}
	if found.CPU != (cpu{"Test CPU", 1, 2}) || found.MemoryBytes != 1<<20 || found.Firmware != "bios" {
		t.Errorf("%+v", found)
	}
	if found.Serial != "" || found.UUID != "4c4c4544-0000-1000-8000-abcdef012345" {
		t.Errorf("serial %q uuid %q", found.Serial, found.UUID)
	}
}

func TestDiskIdentity(t *testing.T) {
	m := machine{root: t.TempDir()}
	place := "sys/devices/pci0000:00/ata1/host0/target0:0:0/0:0:0:0"
	for path, content := range map[string]string{
		place + "/block/sda/size":       "100",
		place + "/vendor":               "ATA     ",
		place + "/model":                "QEMU HARDDISK   ",
		place + "/wwid":                 "naa.5000c500a0b1c2d3",
		place + "/vpd_pg80":             "\x00\x80\x00\x08QM00001 ",
		"sys/block/nvme0n1/size":        "100",
		"sys/block/nvme0n1/wwid":        "eui.0025385b71b00001",
		"sys/block/nvme0n1/device/x":    "",
		"sys/block/nvme0n1/device/y":    "",
		"sys/block/nvme0c0n1/size":      "100",
		"sys/block/nvme0c0n1/hidden":    "1",
		"sys/block/mmcblk0boot0/size":   "100",
		"sys/block/dm-0/size":           "100",
		"sys/block/nvme0n1/device/wwid": "wrong",
	} {
		writeFile(t, m.path(path), content)
	}
	writeFile(t, m.path("sys/block/nvme0n1/device/serial"), "S4EVNF0M\n")
	writeFile(t, m.path("sys/block/nvme0n1/device/model"), "Samsung SSD 970\n")
	if err := os.Symlink("../devices/"+strings.TrimPrefix(place, "sys/devices/")+"/block/sda", m.path("sys/block/sda")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../..", filepath.Join(m.root, place, "block/sda/device")); err != nil {
		t.Fatal(err)
	}
	want := []disk{
		{Path: "/dev/nvme0n1", Name: "nvme0n1", SizeBytes: 51200, Model: "Samsung SSD 970", Serial: "S4EVNF0M", WWN: "eui.0025385b71b00001", Bus: "nvme"},
		{Path: "/dev/sda", Name: "sda", SizeBytes: 51200, Model: "QEMU HARDDISK", Serial: "QM00001", WWN: "naa.5000c500a0b1c2d3", Bus: "sata"},
	}
	found := m.disks()
	if len(found) != len(want) {
		t.Fatalf("%+v", found)
	}
	for i := range want {
		if found[i] != want[i] {
			t.Errorf("%+v, want %+v", found[i], want[i])
		}
	}
}

func TestMemoryDevices(t *testing.T) {
	device := func(low, high byte) []byte {
		structure := make([]byte, 0x22)
		structure[0], structure[1], structure[0x0c], structure[0x0d] = 17, 0x22, low, high
		structure[0x1d] = 0x80 // extended size: 32768 MiB
		return append(structure, "DIMM 0\x00\x00"...)
	}
	tables := append([]byte{0, 4, 0, 0, 0, 0}, device(0, 4)...)
	tables = append(tables, device(0xff, 0x7f)...)
	tables = append(tables, device(0, 0)...)
	tables = append(tables, device(0xff, 0xff)...)
	tables = append(tables, 127, 4, 0, 0, 0, 0)
	if got := memoryDevices(tables); got != 33<<30 {
		t.Errorf("%d", got)
	}
	for cut := range tables { // a broken table must not crash or loop
		memoryDevices(tables[:cut])
	}
}

func TestDeviceNumber(t *testing.T) {
	for number, want := range map[uint64]string{0xfe00: "254:0", 0x801: "8:1", 0x100000: "0:256", 0x100801: "8:257"} {
		if got := deviceNumber(number); got != want {
			t.Errorf("%x is %s, not %s", number, got, want)
		}
	}
}

func TestCleanSpans(t *testing.T) {
	if spans := cleanSpans(wholeLimit); len(spans) != 1 || spans[0] != (span{0, wholeLimit}) {
		t.Errorf("%+v", spans)
	}
	bytes := int64(wholeLimit + 512)
	spans := cleanSpans(bytes)
	if len(spans) != sampleCount+2 || spans[len(spans)-1].offset != bytes-edgeBytes {
		t.Errorf("%d spans", len(spans))
	}
	for _, s := range spans {
		if s.offset < 0 || s.offset+s.length > bytes {
			t.Errorf("%+v is beyond the disk", s)
		}
	}
}

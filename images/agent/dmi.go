package main

import (
	"encoding/binary"
	"os"
	"strconv"
	"strings"
)

// What boards say when their maker did not fill the field in.
var unfilled = map[string]bool{
	"": true, "none": true, "n/a": true, "not specified": true, "not applicable": true, "default string": true,
	"to be filled by o.e.m.": true, "system serial number": true, "0123456789": true,
	"00000000-0000-0000-0000-000000000000": true, "ffffffff-ffff-ffff-ffff-ffffffffffff": true,
}

func (m machine) dmi(field string) string {
	value := m.text("sys/class/dmi/id", field)
	if unfilled[strings.ToLower(value)] {
		return ""
	}
	return value
}

// memory is what is plugged in, by the SMBIOS tables; without them, what the
// kernel has, which is somewhat less.
func (m machine) memory() int64 {
	tables, err := os.ReadFile(m.path("sys/firmware/dmi/tables/DMI"))
	if err == nil {
		if total := memoryDevices(tables); total > 0 {
			return total
		}
	}
	content, _ := os.ReadFile(m.path("proc/meminfo"))
	for line := range strings.Lines(string(content)) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// memoryDevices adds up the sizes of all Memory Device structures (SMBIOS 3.7
// §7.18, type 17). A structure is a formatted part of stated length and then
// strings, ended by two zero bytes (§6.1.2, §6.1.3).
func memoryDevices(tables []byte) int64 {
	total := int64(0)
	for len(tables) >= 4 {
		kind, length := tables[0], int(tables[1])
		if length < 4 || length > len(tables) {
			break
		}
		if kind == 17 {
			total += memoryDevice(tables[:length])
		}
		end := strings.Index(string(tables[length:]), "\x00\x00")
		if kind == 127 || end < 0 {
			break
		}
		tables = tables[length+end+2:]
	}
	return total
}

// memoryDevice: Size at 0Ch is in MiB, or in KiB with bit 15 set; 0 is an empty
// slot, FFFFh unknown, and 7FFFh refers to Extended Size at 1Ch in MiB.
func memoryDevice(structure []byte) int64 {
	if len(structure) < 0x0e {
		return 0
	}
	size := binary.LittleEndian.Uint16(structure[0x0c:])
	switch {
	case size == 0xffff:
		return 0
	case size == 0x7fff && len(structure) >= 0x20:
		return int64(binary.LittleEndian.Uint32(structure[0x1c:])&0x7fffffff) << 20
	case size&0x8000 != 0:
		return int64(size&0x7fff) << 10
	}
	return int64(size) << 20
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"
)

// Requests of linux/fs.h.
const (
	blkFlushBuffers = 0x1261     // BLKFLSBUF
	blkSectorSize   = 0x1268     // BLKSSZGET
	blkZeroOut      = 0x127f     // BLKZEROOUT
	blkSize64       = 0x80081272 // BLKGETSIZE64
)

// target is a disk opened for writing. Zero makes a range read back as zeros;
// Settle returns when everything written is on the medium and nothing that is
// read afterwards can come from memory.
type target interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Zero(offset, length int64) error
	Settle() error
}

// blockTarget writes past the page cache (O_DIRECT) where offset, length and
// buffer allow it: a write that has returned is with the device, so that a
// grant which runs out really stops the writing, and a verification reads the
// disk and not the memory.
type blockTarget struct {
	direct   *os.File // nil when the file system below a test file knows no O_DIRECT
	buffered *os.File
	block    bool
	align    int64
}

// open claims the disk the job names and nothing else. The identity is read
// before the device is opened and once more from the opened device itself, so
// that a name which moved to another disk in between is noticed.
func (m machine) open(named diskName) (target, disk, error) {
	found, err := m.identify(named)
	if err != nil {
		return nil, found, err
	}
	if holder := m.inUse(found.Name); holder != "" {
		return nil, found, fail("write-error", "%s is in use (%s), so it was not opened for writing.", found.label(), holder)
	}
	opened, err := openTarget(m.path(named.Path), m.plainDisk)
	if err != nil {
		return nil, found, fail("write-error", "%s could not be opened for writing: %v.", found.label(), err)
	}
	if err := m.confirm(named, opened); err != nil {
		opened.Close()
		return nil, found, err
	}
	return opened, found, nil
}

// identify finds the disk by its path and compares what the job names.
func (m machine) identify(named diskName) (disk, error) {
	name, ok := strings.CutPrefix(named.Path, "/dev/")
	if !ok || name == "" || strings.ContainsAny(name, "/.") || !isDisk(name) {
		return disk{}, fail("disk-missing", "%q is not the path of a disk.", named.Path)
	}
	found, ok := m.disk(name)
	if !ok {
		paths := []string{}
		for _, d := range m.disks() {
			paths = append(paths, d.label())
		}
		return disk{}, fail("disk-missing", "There is no disk %s; the machine has %d: %s.",
			named.Path, len(paths), strings.Join(paths, ", ")).with(map[string]any{"found": m.disks()})
	}
	if differences := mismatch(named, found); len(differences) > 0 {
		return found, fail("disk-mismatch", "%s is not the disk the job names: %s.",
			named.Path, strings.Join(differences, "; ")).with(map[string]any{"found": found})
	}
	if found.ReadOnly {
		return found, fail("disk-read-only", "%s is read-only.", found.label())
	}
	return found, nil
}

// confirm checks that the opened device is the one /sys/block names, by device
// number and by the size it tells itself.
func (m machine) confirm(named diskName, opened *blockTarget) error {
	if !opened.block {
		return nil
	}
	var status syscall.Stat_t
	if err := syscall.Fstat(int(opened.buffered.Fd()), &status); err != nil {
		return fail("disk-mismatch", "%s could not be examined after opening: %v.", named.Path, err)
	}
	name := strings.TrimPrefix(named.Path, "/dev/")
	number := deviceNumber(status.Rdev)
	if listed := m.text("sys/block", name, "dev"); listed != number {
		return fail("disk-mismatch", "%s is device %s, but the kernel lists %s as %s.", named.Path, number, name, listed)
	}
	var bytes int64
	if err := ioctl(opened.buffered, blkSize64, unsafe.Pointer(&bytes)); err != nil || bytes != named.SizeBytes {
		return fail("disk-mismatch", "%s has %d bytes after opening, not %d.", named.Path, bytes, named.SizeBytes)
	}
	_, err := m.identify(named)
	return err
}

// deviceNumber renders a dev_t as /sys does (glibc's gnu_dev_major and minor).
func deviceNumber(number uint64) string {
	major := (number>>8)&0xfff | (number>>32)&^uint64(0xfff)
	minor := number&0xff | (number>>12)&^uint64(0xff)
	return fmt.Sprintf("%d:%d", major, minor)
}

// inUse tells what holds the disk or one of its partitions.
func (m machine) inUse(name string) string {
	numbers := map[string]string{m.text("sys/block", name, "dev"): name}
	parts := []string{""}
	for _, entry := range m.list("sys/block", name) {
		if number := m.text("sys/block", name, entry, "dev"); number != "" && strings.HasPrefix(entry, name) {
			numbers[number] = entry
			parts = append(parts, entry)
		}
	}
	for _, part := range parts {
		if holders := m.list("sys/block", name, part, "holders"); len(holders) > 0 {
			return "held by " + strings.Join(holders, ", ")
		}
	}
	mounts, _ := os.ReadFile(m.path("proc/self/mountinfo"))
	for _, line := range strings.Split(string(mounts), "\n") {
		fields := strings.Fields(line)
		if len(fields) > 4 && fields[2] != "" && numbers[fields[2]] != "" {
			return numbers[fields[2]] + " is mounted on " + fields[4]
		}
	}
	return ""
}

// openTarget opens with O_EXCL, which on a block device (without O_CREAT)
// means: refuse when anything in the kernel, a mount for one, has it.
func openTarget(path string, plain bool) (*blockTarget, error) {
	path = filepath.Clean(path)
	buffered, err := os.OpenFile(path, os.O_RDWR|syscall.O_EXCL, 0)
	if err != nil {
		return nil, err
	}
	t := &blockTarget{buffered: buffered, align: 4096}
	info, err := buffered.Stat()
	if err == nil && info.Mode()&os.ModeDevice == 0 && !(plain && info.Mode().IsRegular()) {
		err = errors.New("it is not a block device")
	}
	if err != nil {
		buffered.Close()
		return nil, err
	}
	t.block = info.Mode()&os.ModeDevice != 0
	if t.block {
		var sector int32
		if err := ioctl(buffered, blkSectorSize, unsafe.Pointer(&sector)); err == nil && sector > 0 {
			t.align = int64(sector)
		}
	}
	// Through /proc it is the same opened device, whatever the name means by now.
	again := fmt.Sprintf("/proc/self/fd/%d", buffered.Fd())
	if direct, err := os.OpenFile(again, os.O_RDWR|syscall.O_DIRECT, 0); err == nil {
		t.direct = direct
	}
	return t, nil
}

func (t *blockTarget) aligned(p []byte, offset int64) bool {
	return t.direct != nil && len(p) > 0 && offset%t.align == 0 && int64(len(p))%t.align == 0 &&
		int64(uintptr(unsafe.Pointer(&p[0])))%t.align == 0
}

func (t *blockTarget) ReadAt(p []byte, offset int64) (int, error) {
	if t.aligned(p, offset) {
		return t.direct.ReadAt(p, offset)
	}
	return t.buffered.ReadAt(p, offset)
}

func (t *blockTarget) WriteAt(p []byte, offset int64) (int, error) {
	if t.aligned(p, offset) {
		return t.direct.WriteAt(p, offset)
	}
	n, err := t.buffered.WriteAt(p, offset)
	if err == nil {
		err = syscall.Fdatasync(int(t.buffered.Fd()))
	}
	return n, err
}

// Zero lets the device do it where it can (the kernel writes zeros itself where
// it cannot), and writes them by hand where the ioctl is not known.
func (t *blockTarget) Zero(offset, length int64) error {
	if t.block && offset%512 == 0 && length%512 == 0 {
		span := [2]uint64{uint64(offset), uint64(length)}
		if err := ioctl(t.buffered, blkZeroOut, unsafe.Pointer(&span)); err == nil {
			return nil
		}
	}
	blank := pageBuffer(int(min(length, 1<<20)))
	defer freePages(blank)
	for length > 0 {
		n := min(length, int64(len(blank)))
		if _, err := t.WriteAt(blank[:n], offset); err != nil {
			return err
		}
		offset, length = offset+n, length-n
	}
	return nil
}

func (t *blockTarget) Settle() error {
	if err := t.buffered.Sync(); err != nil {
		return err
	}
	if t.block {
		return ioctl(t.buffered, blkFlushBuffers, nil)
	}
	const dontNeed = 4 // POSIX_FADV_DONTNEED
	_, _, errno := syscall.Syscall6(syscall.SYS_FADVISE64, t.buffered.Fd(), 0, 0, dontNeed, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func (t *blockTarget) Close() error {
	if t.direct != nil {
		t.direct.Close()
	}
	return t.buffered.Close()
}

func ioctl(file *os.File, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}

// pageBuffer is memory on page boundaries, as O_DIRECT needs it.
func pageBuffer(length int) []byte {
	pages, err := syscall.Mmap(-1, 0, max(length, 1), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return make([]byte, length) // works, through the page cache
	}
	return pages[:length:length]
}

// freePages gives back what pageBuffer took; foreign memory is left alone.
func freePages(pages []byte) { _ = syscall.Munmap(pages) }

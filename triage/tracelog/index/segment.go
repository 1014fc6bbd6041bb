// Reading a segment file, piece by piece, believing none that its checksum does
// not vouch for.

package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"
)

// segment is a segment file. It may be used by several goroutines at once.
type segment struct {
	header
	path string
	salt uint32      // of its checksums
	file io.ReaderAt // an *os.File, or a reopener where too many files are open
	info os.FileInfo // of the file when it was opened

	// bad is set by whoever finds damage: the segment is then as if it were not
	// there, and the next update makes it anew.
	bad atomic.Pointer[error]
	// verified says that an update has read all of it; only updates look at it.
	verified bool
	// directory are all pages, once a second lookup has come: the first one of a
	// process that ends with it reads its page alone.
	directory atomic.Pointer[[]byte]
	looked    atomic.Bool
	holders   int // lists that have it; guarded by its log's mutex
}

// reopener opens the file for each read.
type reopener string

func (path reopener) ReadAt(b []byte, at int64) (int, error) {
	f, err := os.Open(string(path))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.ReadAt(b, at)
}

// errDamaged is wrapped by every error about the contents of a segment file.
var errDamaged = errors.New("an index file cannot be used and is made anew by the next update")

func (s *segment) damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s: %w", errDamaged, s.path, fmt.Errorf(format, args...))
}

// openSegment opens a file and reads its header. keep says whether the file is
// kept open.
func openSegment(path string, spec digest, keep bool) (*segment, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("an index file cannot be opened: %w", err)
	}
	s := &segment{path: path, file: file}
	if s.info, err = file.Stat(); err == nil {
		err = s.readHeader(spec)
	}
	if err != nil || !keep {
		_ = file.Close()
	}
	if err != nil {
		return nil, err
	}
	if !keep {
		s.file = reopener(path)
	}
	return s, nil
}

// problem is what is wrong with the segment, as far as it is known.
func (s *segment) problem() error {
	if err := s.bad.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *segment) close() {
	if file, ok := s.file.(*os.File); ok {
		_ = file.Close() // it was only read
	}
}

func (s *segment) readHeader(spec digest) error {
	var b [headerSize]byte
	if err := s.pread(b[:], 0); err != nil {
		return err
	}
	if err := s.decode(b[:]); err != nil {
		return s.damaged("%w", err)
	}
	switch {
	case s.Spec != spec:
		return s.damaged("it is of another spec")
	case s.info.Size() != s.size():
		return s.damaged("it has %d bytes and should have %d", s.info.Size(), s.size())
	}
	s.salt = s.newSalt()
	return nil
}

func (s *segment) pread(b []byte, at int64) error {
	if _, err := s.file.ReadAt(b, at); err != nil {
		if errors.Is(err, io.EOF) {
			return s.damaged("it is cut short")
		}
		return s.damaged("it cannot be read: %w", err)
	}
	return nil
}

// room is memory that reads share.
type room struct{ page, bucket []byte }

// bucket reads a bucket's bytes.
func (s *segment) bucket(number int, r *room) ([]byte, error) {
	page, err := s.page(number/bucketsInPage, r)
	if err != nil {
		return nil, err
	}
	if checksum(s.salt+uint32(number/bucketsInPage), page[:pageSize-4]) != binary.LittleEndian.Uint32(page[pageSize-4:]) {
		return nil, s.damaged("its directory is damaged")
	}
	// The end of one bucket is the begin of the next.
	at := number % bucketsInPage * 8
	begin := binary.LittleEndian.Uint32(page[max(0, at-4):])
	end, want := binary.LittleEndian.Uint32(page[at+4:]), binary.LittleEndian.Uint32(page[at+8:])
	if begin > end || end > s.Entries {
		return nil, s.damaged("its directory makes no sense")
	}
	size := int(end-begin) * s.width()
	r.bucket = slices.Grow(r.bucket[:0], size)[:size]
	if err := s.pread(r.bucket, headerSize+int64(begin)*int64(s.width())); err != nil {
		return nil, err
	}
	if checksum(s.salt, r.bucket) != want {
		return nil, s.damaged("its entries are damaged")
	}
	return r.bucket, nil
}

// page gives a page of the directory, not checked yet.
func (s *segment) page(number int, r *room) ([]byte, error) {
	if directory := s.directory.Load(); directory != nil {
		return (*directory)[number*pageSize:][:pageSize], nil
	}
	if _, kept := s.file.(*os.File); kept && s.looked.Swap(true) {
		directory := make([]byte, s.pages()*pageSize)
		if err := s.pread(directory, s.pagesAt()); err != nil {
			return nil, err
		}
		s.directory.Store(&directory)
		return directory[number*pageSize:][:pageSize], nil
	}
	r.page = slices.Grow(r.page[:0], pageSize)[:pageSize]
	return r.page, s.pread(r.page, s.pagesAt()+int64(number)*pageSize)
}

// find appends the granules, in ascending order and counted from the log's
// start, in which lines with the hash may begin.
func (s *segment) find(hash uint64, r *room, granules []int64) ([]int64, error) {
	want := newEntry(hash, 0).hash()
	number := int(want >> (hashBits - s.BucketBits))
	bucket, err := s.bucket(number, r)
	if err != nil {
		return granules, err
	}
	for e := range s.entries(number, bucket) {
		if e.hash() == want {
			granules = append(granules, s.base()+e.position())
		}
	}
	return granules, nil
}

// entries are those of a bucket.
func (s *segment) entries(number int, bucket []byte) func(yield func(entry) bool) {
	prefix := entry(number) << (entryBits - s.BucketBits)
	return func(yield func(entry) bool) {
		for wide := s.width(); len(bucket) >= wide; bucket = bucket[wide:] {
			var e entry
			for i, b := range bucket[:wide] {
				e |= entry(b) << (8 * i)
			}
			if !yield(prefix | e&(1<<(entryBits-s.BucketBits)-1)) {
				return
			}
		}
	}
}

// buckets reads all of them. It holds the whole file in memory meanwhile.
func (s *segment) buckets(each func(number int, bucket []byte)) error {
	file := make([]byte, s.size())
	if err := s.pread(file, 0); err != nil {
		return err
	}
	whole := &segment{header: s.header, path: s.path, salt: s.salt, file: bytes.NewReader(file)}
	var r room
	for number := range 1 << s.BucketBits {
		bucket, err := whole.bucket(number, &r)
		if err != nil {
			return err
		}
		each(number, bucket)
	}
	return nil
}

// all appends every entry, in the file's order.
func (s *segment) all(entries []entry) ([]entry, error) {
	err := s.buckets(func(number int, bucket []byte) {
		for e := range s.entries(number, bucket) {
			entries = append(entries, e)
		}
	})
	return entries, err
}

// readBlocks appends the segment's blocks. They are checked to be one after the
// other from its begin to its end.
func (s *segment) readBlocks(blocks []block) ([]block, error) {
	b := make([]byte, int(s.Blocks)*blockSize)
	if err := s.pread(b, s.blocksAt()); err != nil {
		return blocks, err
	}
	if checksum(s.salt, b) != s.BlocksCRC {
		return blocks, s.damaged("its summaries are damaged")
	}
	at := s.From
	for ; len(b) > 0; b = b[blockSize:] {
		var one block
		one.decode(b)
		if one.offset != at || one.length <= 0 || one.length > s.To-at {
			return blocks, s.damaged("its summaries make no sense")
		}
		at += one.length
		blocks = append(blocks, one)
	}
	if at != s.To {
		return blocks, s.damaged("its summaries end early")
	}
	return blocks, nil
}

// verify reads all of the file once, but for its header.
func (s *segment) verify() error {
	if s.verified {
		return nil
	}
	if err := s.buckets(func(int, []byte) {}); err != nil {
		return err
	}
	if _, err := s.readBlocks(nil); err != nil {
		return err
	}
	s.verified = true
	return nil
}

// The format of a segment file: which ids stand where in one stretch of a log.
//
//	header    fixed size, see below
//	buckets   entries in ascending order
//	pages     the directory of the buckets, 64 to a page
//	blocks    summaries of about 64 KiB of log each
//
// An entry is an id's hash, of which hashBits are kept, and the granule of 4 KiB
// of log in which the id's line begins. The hash's highest bits are the bucket's
// number and are not written again, so that an entry takes three bytes in a
// segment of 64 MiB. Every piece has a checksum that is verified when the piece
// is read; no piece is believed to be anywhere but where the header says.

package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
)

const (
	hashBits     = 23
	positionBits = 14
	entryBits    = hashBits + positionBits

	granule = 4 << 10
	// maxSpan is the most granules in which a segment's lines begin.
	maxSpan = 1 << positionBits
	// A segment with fullEntries takes no more lines, which bounds the memory
	// that building and merging take: 8 bytes for each entry, twice. The last
	// line may exceed it, by as many as there are hashes.
	fullEntries = 1 << 20
	maxEntries  = fullEntries + 1<<hashBits

	maxBucketBits   = 13
	entriesInBucket = 256 // on average, at most, unless there are no more buckets

	bucketsInPage = 64
	pageSize      = 4 + bucketsInPage*8 + 4
	blockSize     = 48
	// maxBlocks is more than a segment has: a block is 64 KiB long, but for the
	// last one.
	maxBlocks = 1 << 12
)

// entry is a hash's kept bits above a granule's number within the segment.
type entry uint64

func newEntry(hash uint64, position int64) entry {
	return entry(hash>>(64-hashBits)<<positionBits | uint64(position))
}

func (e entry) hash() uint64    { return uint64(e) >> positionBits }
func (e entry) position() int64 { return int64(e & (maxSpan - 1)) }

var magic = [8]byte{'t', 'r', 'i', 'd', 'x', '0', '0', '1'}

// header opens a segment file.
type header struct {
	Magic    [8]byte
	Spec     digest
	From, To int64 // the stretch of the log, in bytes; both are starts of lines
	// Head is the digest of the log's first HeadLen bytes, Tail that of the
	// last bytes before To. They tell whether a file is still the log that was
	// indexed.
	Head, Tail       digest
	HeadLen, TailLen uint32
	Entries          uint32
	BucketBits       uint32
	Blocks           uint32
	TooLong          uint32 // lines over Spec.MaxLine that begin here
	BlocksCRC        uint32
	CRC              uint32 // of all before it
}

const headerSize = 8 + 3*16 + 2*8 + 8*4

// checksum is a CRC32C that begins with a salt.
func checksum(salt uint32, b []byte) uint32 {
	return crc32.Update(salt, crc32.MakeTable(crc32.Castagnoli), b)
}

// newSalt begins the checksums of a segment's pieces, so that those of another
// segment, copied over this one's, do not pass for its own.
func (h *header) newSalt() uint32 {
	crc := checksum(0, h.Spec[:])
	crc = checksum(crc, h.Head[:])
	crc = checksum(crc, h.Tail[:])
	b := binary.LittleEndian.AppendUint64(nil, uint64(h.From))
	b = binary.LittleEndian.AppendUint64(b, uint64(h.To))
	return checksum(crc, b)
}

func (h *header) encode() []byte {
	b, err := binary.Append(nil, binary.LittleEndian, h)
	if err != nil {
		panic(err) // of fixed size
	}
	binary.LittleEndian.PutUint32(b[headerSize-4:], checksum(0, b[:headerSize-4]))
	return b
}

// decode reads and checks a header. All that follows from it is then within
// bounds.
func (h *header) decode(b []byte) error {
	if _, err := binary.Decode(b, binary.LittleEndian, h); err != nil {
		return fmt.Errorf("its header is cut short: %w", err)
	}
	switch {
	case h.Magic != magic:
		return errors.New("it is of another version or no index file")
	case h.CRC != checksum(0, b[:headerSize-4]):
		return errors.New("its header is damaged")
	case h.From < 0, h.To <= h.From, h.HeadLen > headLen, int64(h.HeadLen) > h.To, h.TailLen > tailLen, int64(h.TailLen) > h.To-h.From,
		h.Entries > maxEntries, h.BucketBits > maxBucketBits, h.Blocks > maxBlocks:
		return errors.New("its header makes no sense")
	}
	return nil
}

// width is the bytes that an entry takes.
func (h *header) width() int { return width(h.BucketBits) }

func width(bucketBits uint32) int { return (entryBits - int(bucketBits) + 7) / 8 }

func (h *header) pages() int { return pages(h.BucketBits) }

func pages(bucketBits uint32) int { return (1<<bucketBits + bucketsInPage - 1) / bucketsInPage }

func (h *header) pagesAt() int64 { return headerSize + int64(h.Entries)*int64(h.width()) }

func (h *header) blocksAt() int64 { return h.pagesAt() + int64(h.pages())*pageSize }

func (h *header) size() int64 { return h.blocksAt() + int64(h.Blocks)*blockSize }

// base is the granule in which the segment begins.
func (h *header) base() int64 { return h.From / granule }

// encodeSegment makes a file's contents. The entries must be sorted.
func encodeSegment(h header, entries []entry, blocks []block) []byte {
	h.Magic = magic
	h.Entries, h.Blocks = uint32(len(entries)), uint32(len(blocks))
	h.BucketBits = bucketBits(len(entries))
	file := make([]byte, headerSize, h.size())

	ends := make([]uint32, 1<<h.BucketBits)
	shift := entryBits - h.BucketBits
	wide := h.width()
	for _, e := range entries {
		ends[e>>shift]++
		var bytes [8]byte
		binary.LittleEndian.PutUint64(bytes[:], uint64(e)&(1<<shift-1))
		file = append(file, bytes[:wide]...)
	}
	for i := range ends[1:] {
		ends[i+1] += ends[i]
	}

	salt := h.newSalt()
	begin, number := uint32(0), uint32(0)
	buckets := file[headerSize:]
	for page := range slices.Chunk(ends, bucketsInPage) {
		at := len(file)
		file = binary.LittleEndian.AppendUint32(file, begin)
		for _, end := range page {
			file = binary.LittleEndian.AppendUint32(file, end)
			file = binary.LittleEndian.AppendUint32(file, checksum(salt, buckets[int(begin)*wide:int(end)*wide]))
			begin = end
		}
		file = append(file, make([]byte, pageSize-4-(len(file)-at))...)
		file = binary.LittleEndian.AppendUint32(file, checksum(salt+number, file[at:]))
		number++
	}

	at := len(file)
	for i := range blocks {
		file = blocks[i].append(file)
	}
	h.BlocksCRC = checksum(salt, file[at:])
	copy(file, h.encode())
	return file
}

// bucketBits chooses the number of buckets with which the file is smallest.
func bucketBits(entries int) uint32 {
	best, smallest := uint32(maxBucketBits), math.MaxInt
	for b := uint32(0); b <= maxBucketBits; b++ {
		if entries>>b > entriesInBucket {
			continue
		}
		if size := entries*width(b) + pages(b)*pageSize; size < smallest {
			best, smallest = b, size
		}
	}
	return best
}

// sortEntries sorts by hash and then position, and drops doubles. The entries
// must be in the order of their positions. It uses spare, and returns a slice of
// one of the two arrays and the other array.
func sortEntries(entries, spare []entry) (sorted, rest []entry) {
	const low = 12
	spare = slices.Grow(spare[:0], len(entries))[:len(entries)]
	radix(entries, spare, positionBits, low)
	radix(spare, entries, positionBits+low, hashBits-low)
	return slices.Compact(entries), spare
}

// radix sorts stably by some bits.
func radix(from, to []entry, shift, width int) {
	var next [1 << 12]uint32
	mask := entry(1)<<width - 1
	for _, e := range from {
		next[e>>shift&mask]++
	}
	sum := uint32(0)
	for i, n := range next {
		next[i] = sum
		sum += n
	}
	for _, e := range from {
		digit := e >> shift & mask
		to[next[digit]] = e
		next[digit]++
	}
}

// block is a summary of the lines that begin in a stretch of the log.
type block struct {
	offset, length int64
	summary
}

func (b *block) append(to []byte) []byte {
	for _, word := range [...]uint64{
		uint64(b.offset), uint64(b.length), uint64(b.first), uint64(b.last),
		math.Float64bits(b.longest), uint64(b.flags),
	} {
		to = binary.LittleEndian.AppendUint64(to, word)
	}
	return to
}

func (b *block) decode(from []byte) {
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(from[8*i:]) }
	b.offset, b.length, b.first, b.last = int64(word(0)), int64(word(1)), int64(word(2)), int64(word(3))
	b.longest, b.flags = math.Float64frombits(word(4)), flags(word(5))
}

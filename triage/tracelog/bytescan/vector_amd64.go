package bytescan

import "golang.org/x/sys/cpu"

// vectors says whether this processor has AVX2.
var vectors = cpu.X86.HasAVX2

// vectorCandidates looks at blocks of 64 offsets each, from text's first on. It
// returns how many candidates it wrote to out, which has room for 64 or more,
// and how many blocks it looked at: fewer than asked when out may not hold
// another block's.
func (s *Searcher) vectorCandidates(text []byte, blocks int, out []uint32) (found, done int) {
	return pairs(&text[0], blocks, &pairArgs{
		a1: uint64(s.a.first), a2: uint64(s.a.second), b1: uint64(s.b.first), b2: uint64(s.b.second),
		a1Byte: s.a.text[s.a.first], a2Byte: s.a.text[s.a.second],
		b1Byte: s.b.text[s.b.first], b2Byte: s.b.text[s.b.second],
	}, &out[0], len(out))
}

// pairArgs are two pairs of bytes and where they stand from a candidate's
// offset. Its layout is known to the assembly.
type pairArgs struct {
	a1, a2, b1, b2                 uint64
	a1Byte, a2Byte, b1Byte, b2Byte byte
}

// pairs writes to out the offsets i, relative to text, at which
// text[i+a1] == a1Byte && text[i+a2] == a2Byte, or the same of b.
//
//go:noescape
func pairs(text *byte, blocks int, args *pairArgs, out *uint32, room int) (found, done int)

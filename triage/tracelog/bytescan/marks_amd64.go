package bytescan

// vectorMarks does Marks for whole blocks of 64 bytes, which must be followed
// by one byte more.
func vectorMarks(text []byte, blocks int, out []uint64) {
	marks(&text[0], blocks, &[8]byte{'"', ' ', '\t', '\r', ':', '\\', 'u', '\n'}, &out[0])
}

// marks writes a word of marks for each block. The bytes that mean something
// are given in the order in which the assembly names them.
//
//go:noescape
func marks(text *byte, blocks int, meant *[8]byte, out *uint64)

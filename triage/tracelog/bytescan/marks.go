package bytescan

// Marks sets the bits of out, one for each byte of text from the lowest bit of
// out[0] on, at what a reader of NDJSON must look at to see every member of
// every object:
//
//   - a newline
//   - a quote, or white space, right before a colon: the end of a key
//   - a backslash right before a u: an escape that may hide a letter of a key
//
// All other bits are cleared. out must have room for len(text) bits.
func Marks(text []byte, out []uint64) {
	out = out[:(len(text)+63)/64]
	done := 0
	// A block's last byte is judged by the one after it.
	if blocks := (len(text) - 1) / 64; vectors && blocks > 0 {
		vectorMarks(text, blocks, out)
		done = blocks
	}
	plainMarks(text, done, out)
}

// plainMarks does what Marks does from a block of 64 bytes on.
func plainMarks(text []byte, block int, out []uint64) {
	clear(out[block:])
	for i := block * 64; i < len(text); i++ {
		next := byte(0)
		if i+1 < len(text) {
			next = text[i+1]
		}
		var mark bool
		switch text[i] {
		case '\n':
			mark = true
		case '"', ' ', '\t', '\r':
			mark = next == ':'
		case '\\':
			mark = next == 'u'
		}
		if mark {
			out[i/64] |= 1 << (i % 64)
		}
	}
}

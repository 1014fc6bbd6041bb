// Lines that are too long.

package bytescan

import "bytes"

// CountLonger counts the lines longer than limit bytes. It looks at one place
// in as many bytes as that.
func CountLonger(text []byte, limit int) int {
	n := 0
	for len(text) > limit {
		if i := bytes.LastIndexByte(text[:limit+1], '\n'); i >= 0 {
			text = text[i+1:]
			continue
		}
		n++
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			break
		}
		text = text[i+1:]
	}
	return n
}

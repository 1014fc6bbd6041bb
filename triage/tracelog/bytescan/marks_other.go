//go:build !amd64

package bytescan

func vectorMarks([]byte, int, []uint64) {}

//go:build !amd64

package bytescan

const vectors = false

func (s *Searcher) vectorCandidates([]byte, int, []uint32) (found, done int) { return 0, 0 }

package bytescan

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// naive is what Search must equal.
func naive(text []byte, literals ...string) []int {
	var at []int
	for i := range text {
		for _, l := range literals {
			if bytes.HasPrefix(text[i:], []byte(l)) {
				at = append(at, i)
				break
			}
		}
	}
	return at
}

// search gathers all hits through a small window of hits.
func search(s *Searcher, text []byte, room int) []int {
	var at []int
	hits := make([]uint32, room)
	for from := 0; from < len(text); {
		n, next := s.Search(text, from, hits)
		for _, h := range hits[:n] {
			at = append(at, int(h))
		}
		from = next
	}
	return at
}

func TestSearchFindsWhatPlainComparisonFinds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 3000 {
		text := make([]byte, random.IntN(700))
		for i := range text {
			text[i] = "ab\\u0\n"[random.IntN(6)]
		}
		literals := []string{randomLiteral(random), randomLiteral(random)}[:1+random.IntN(2)]
		room := 1 + random.IntN(100)
		if got, want := search(New(literals...), text, room), naive(text, literals...); !slices.Equal(got, want) {
			t.Fatalf("round %d: %q in %q with room for %d hits:\ngot  %v\nwant %v", round, literals, text, room, got, want)
		}
	}
}

func randomLiteral(random *rand.Rand) string {
	text := make([]byte, 1+random.IntN(6))
	for i := range text {
		text[i] = "ab\\u0\n"[random.IntN(6)]
	}
	return string(text)
}

func TestSearchAcrossBlockEdges(t *testing.T) {
	const id = "req_9f8e7d6c"
	for at := range 300 {
		text := []byte(strings.Repeat(".", at) + id + strings.Repeat(".", 300-at))
		if got := search(New(id, `\u00`), text, 4); !slices.Equal(got, []int{at}) {
			t.Fatalf("at %d: got %v", at, got)
		}
	}
}

func TestNewRefusesWhatCannotBeSearched(t *testing.T) {
	for _, literals := range [][]string{nil, {""}, {"a", ""}, {"a", "b", "c"}, {strings.Repeat("x", MaxLiteral+1)}} {
		t.Run(fmt.Sprint(len(literals)), func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Errorf("New(%q) was taken", literals)
				}
			}()
			New(literals...)
		})
	}
}

func FuzzSearch(f *testing.F) {
	f.Add([]byte(`{"req_id":"req_1","msg":"\u0041"}`), "req_1", `\u00`, 3)
	f.Add(bytes.Repeat([]byte("aab"), 100), "aa", "ab", 64)
	f.Fuzz(func(t *testing.T, text []byte, a, b string, room int) {
		if a == "" || b == "" || len(a) > MaxLiteral || len(b) > MaxLiteral || room < 1 || room > 1000 || len(text) > 1<<16 {
			t.Skip("out of the bounds that New and this test have")
		}
		if got, want := search(New(a, b), text, room), naive(text, a, b); !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func BenchmarkSearch(b *testing.B) {
	line := `{"ts":"2026-01-02T15:04:05.000Z","req_id":"req_%08x","method":"POST","route":"/v1/chat/completions","status":200,"latency_ms":123.4,"worker":"w1"}` + "\n"
	var text []byte
	for i := range 8000 {
		text = fmt.Appendf(text, line, i)
	}
	hits := make([]uint32, 16)
	b.Run("Search", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		s := New("req_ffffffff", `\u00`)
		for b.Loop() {
			if n, _ := s.Search(text, 0, hits); n != 0 {
				b.Fatal(n)
			}
		}
	})
	b.Run("bytes.Index", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			if bytes.Contains(text, []byte("req_ffffffff")) {
				b.Fatal("found")
			}
		}
	})
}

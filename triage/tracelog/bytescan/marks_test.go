package bytescan

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// markedBytes are the bytes that Marks must mark, told by their text alone.
func markedBytes(text []byte) []int {
	var at []int
	for i := range text {
		for _, meant := range []string{"\n", `":`, " :", "\t:", "\r:", `\u`} {
			if bytes.HasPrefix(text[i:], []byte(meant)) {
				at = append(at, i)
			}
		}
	}
	return at
}

// setBits are the bits that are set.
func setBits(words []uint64) []int {
	var at []int
	for i := range len(words) * 64 {
		if words[i/64]>>(i%64)&1 == 1 {
			at = append(at, i)
		}
	}
	return at
}

func TestMarksEveryKeyEscapeAndLine(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for round := range 3000 {
		text := make([]byte, random.IntN(400))
		for i := range text {
			text[i] = "\"\"::\\u\n \t\rab\xff"[random.IntN(13)]
		}
		out := slices.Repeat([]uint64{^uint64(0)}, (len(text)+63)/64)
		Marks(text, out)
		if got, want := setBits(out), markedBytes(text); !slices.Equal(got, want) {
			t.Fatalf("round %d: %q:\ngot  %v\nwant %v", round, text, got, want)
		}
	}
}

func FuzzMarks(f *testing.F) {
	f.Add([]byte("{\"a\":1,\"b\" :\"\\u0041\"}\n"))
	f.Add(bytes.Repeat([]byte("\r:"), 65))
	f.Fuzz(func(t *testing.T, text []byte) {
		out := make([]uint64, (len(text)+63)/64)
		Marks(text, out)
		if got, want := setBits(out), markedBytes(text); !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func BenchmarkMarks(b *testing.B) {
	var text []byte
	for i := range 2000 {
		text = fmt.Appendf(text, `{"ts":"2026-01-02T15:04:05.000Z","req_id":"req_%08x","route":"/v1/chat/completions","status":200}`+"\n", i)
	}
	out := make([]uint64, (len(text)+63)/64)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		Marks(text, out)
	}
}

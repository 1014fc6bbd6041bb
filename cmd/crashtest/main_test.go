// The program under test, built once.

package crashtest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// program is the path of the triagebot binary; TestMain sets it before any test.
var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "triagebot-crash")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "triagebot")
	build := exec.Command("go", "build", "-o", program, "triagebot/cmd/triagebot")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build triagebot: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// chance is a test's source of random numbers, whose seed is printed.
func chance(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("TRIAGEBOT_CRASH_SEED"); given != "" {
		n, err := strconv.ParseUint(given, 10, 64)
		if err != nil {
			t.Fatalf("TRIAGEBOT_CRASH_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("seed %d (TRIAGEBOT_CRASH_SEED)", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

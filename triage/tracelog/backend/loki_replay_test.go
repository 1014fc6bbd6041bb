//go:build !e2ebackends

package backend

import "testing"

// loki answers as the real server did for the test of that name.
func loki(t *testing.T, name string) string {
	t.Helper()
	return replay(t, "loki", name)
}

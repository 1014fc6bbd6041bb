// Recorded exchanges: what a real server was asked and answered.

package backend

import (
	"encoding/json"
	"path/filepath"
)

// exchange is a request and its answer.
type exchange struct {
	Path   string              `json:"path"`
	Params map[string][]string `json:"params"`
	Status int                 `json:"status"`
	Body   json.RawMessage     `json:"body"` // a string where it is no JSON
}

func recordingPath(kind, name string) string {
	return filepath.Join("testdata", kind, name+".json")
}

package triage

import "time"

// BundleSummary is an incident's line in the index of all bundles: what its
// bundle was, when it was published last.
type BundleSummary struct {
	IncidentID int64         `json:"incident"`
	Alertname  string        `json:"alertname"`
	State      IncidentState `json:"state"`
	FiredAt    time.Time     `json:"fired_at"`
	ClearedAt  time.Time     `json:"cleared_at,omitzero"` // zero while it fires
	Playbook   string        `json:"playbook"`            // of its latest run
	Conclusion string        `json:"conclusion"`          // one sentence
	Minimum    MinimumSet    `json:"minimum"`
}

// MinimumSet is what a bundle has of the least that evidence of an incident
// consists of, beside the times at which it fired and cleared.
type MinimumSet struct {
	Panels  int  `json:"panels"`  // pictures of dashboard panels and queries
	Trace   bool `json:"trace"`   // one of its requests, from log to log
	Readyz  bool `json:"readyz"`  // what /readyz answered
	Metrics bool `json:"metrics"` // what /metrics answered
}

package triage

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// IncidentState is where an incident is in its life. The transitions stand in
// package incident.
type IncidentState string

// An incident's states.
const (
	IncidentFiring   IncidentState = "firing"   // at least one of its alerts fires
	IncidentResolved IncidentState = "resolved" // none fires; a re-fire within reopen_within reopens it
	IncidentClosed   IncidentState = "closed"   // over; the next firing opens another incident
)

// Resolution says how it became known that an incident's last alert no longer fires.
type Resolution string

// The ways in which an incident resolves.
const (
	ResolvedByAlertmanager Resolution = "alertmanager" // a notification said so
	ResolvedByPoll         Resolution = "poll"         // Alertmanager's API no longer lists its alerts
	ResolvedByTTL          Resolution = "ttl"          // nothing was heard of it for alert_ttl
)

// Incident is what one thread of the incident channel is about: one per
// alertname and group labels, from its first firing until it is closed.
type Incident struct {
	ID           int64         `json:"id"`
	Key          string        `json:"key"` // alertname and group labels, see IncidentKey
	Alertname    string        `json:"alertname"`
	GroupLabels  Labels        `json:"group_labels"`
	State        IncidentState `json:"state"`
	Severity     string        `json:"severity,omitempty"` // the worst of its firing alerts
	Labels       Labels        `json:"labels"`             // those common to all its alerts
	Annotations  Labels        `json:"annotations,omitempty"`
	Playbook     string        `json:"playbook"`
	GeneratorURL string        `json:"generator_url,omitempty"`
	ExternalURL  string        `json:"external_url,omitempty"`
	Firing       int           `json:"firing"` // alerts that fire now
	Alerts       int           `json:"alerts"` // alerts seen over its life
	Truncated    uint64        `json:"truncated,omitempty"`
	Reopened     int           `json:"reopened,omitempty"`
	Resolution   Resolution    `json:"resolution,omitempty"`
	StartedAt    time.Time     `json:"started_at"` // earliest startsAt of its alerts
	OpenedAt     time.Time     `json:"opened_at"`  // when triagebot opened it
	UpdatedAt    time.Time     `json:"updated_at"`
	ResolvedAt   time.Time     `json:"resolved_at,omitzero"`
	ClosedAt     time.Time     `json:"closed_at,omitzero"`
	// AckedBy is who has it, as a person's name; "" for nobody. A reopening
	// clears it, for what fires again is news. AckedByKey is their Actor.Key, for
	// two people may have one name.
	AckedBy    string    `json:"acked_by,omitempty"`
	AckedByKey string    `json:"acked_by_key,omitempty"`
	AckedAt    time.Time `json:"acked_at,omitzero"`
	// SilencedUntil is the end of the longest of its silences; zero for none.
	SilencedUntil time.Time `json:"silenced_until,omitzero"`
	// RequestedBy is who had it run by hand, without an alert; "" where one fired.
	RequestedBy string `json:"requested_by,omitempty"`
	Version     int64  `json:"version"` // grows with every change
}

// Impact is what its alerts say is wrong for whom; "" where they say nothing.
func (i *Incident) Impact() string {
	for _, name := range []string{"summary", "description", "message"} {
		if text := strings.TrimSpace(i.Annotations[name]); text != "" {
			return text
		}
	}
	return ""
}

// IncidentKey is an incident's correlation key: its alertname and the group
// labels of the notification. Alertmanager's groupKey is no use for it: it is
// not unique per route and changes with the matchers.
func IncidentKey(alertname string, groupLabels Labels) string {
	rest := make(Labels, len(groupLabels))
	for name, value := range groupLabels {
		if name != "alertname" {
			rest[name] = value
		}
	}
	key := alertname + rest.String()
	if len(key) <= maxKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return strings.ToValidUTF8(key[:maxKey-2*len(sum)], "") + hex.EncodeToString(sum[:])
}

// maxKey bounds a key, in bytes: PostgreSQL refuses index entries over 2,704.
const maxKey = 1024

// severities orders the usual severity values, worst first.
var severities = [...]string{"critical", "page", "error", "high", "warning", "warn", "info", "none"}

// WorseSeverity returns the worse of two severity label values. A value that
// is not among the usual ones counts as a warning.
func WorseSeverity(a, b string) string {
	if SeverityRank(b) < SeverityRank(a) {
		return b
	}
	return a
}

// SeverityRank is 0 for the worst severity and grows as severity falls; the
// empty string ranks last.
func SeverityRank(s string) int {
	if s == "" {
		return len(severities)
	}
	for i, name := range severities {
		if s == name {
			return i
		}
	}
	return 4
}

// IsCritical says whether a severity is one that pages.
func IsCritical(s string) bool { return s == "critical" || s == "page" }

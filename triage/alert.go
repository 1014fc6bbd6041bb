package triage

import (
	"slices"
	"strings"
	"time"
)

// Labels are an alert's labels or annotations, or a notification's group labels.
type Labels map[string]string

// String formats the labels as a PromQL selector with sorted names, the form
// in which people read them: {instance="a:9090",job="api"}.
func (l Labels) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, name := range l.Names() {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(name)
		b.WriteByte('=')
		b.WriteString(quote(l[name]))
	}
	b.WriteByte('}')
	return b.String()
}

// Names returns the label names, sorted.
func (l Labels) Names() []string {
	names := make([]string, 0, len(l))
	for name := range l {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// quote is PromQL's quoting: only backslash, double quote and newline need it.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// AlertStatus is an alert's own status; a notification's status is computed
// after truncation and is never used (facts: alertmanager.md, max_alerts).
type AlertStatus string

// The two statuses that Alertmanager sends.
const (
	AlertFiring   AlertStatus = "firing"
	AlertResolved AlertStatus = "resolved"
)

// Alert is one alert of a notification. Its identity is (Fingerprint,
// StartsAt): the fingerprint hashes the labels only, so it comes back with the
// next incident.
type Alert struct {
	Fingerprint  string      `json:"fingerprint"`
	Status       AlertStatus `json:"status"`
	Labels       Labels      `json:"labels"`
	Annotations  Labels      `json:"annotations,omitempty"`
	StartsAt     time.Time   `json:"startsAt"`
	EndsAt       time.Time   `json:"endsAt,omitzero"` // zero while it fires
	GeneratorURL string      `json:"generatorURL,omitempty"`
}

// Name is the alertname label, or "unnamed" where an alert has none.
func (a Alert) Name() string {
	if name := a.Labels["alertname"]; name != "" {
		return name
	}
	return "unnamed"
}

// Notification is one webhook POST of Alertmanager, decoded.
type Notification struct {
	ID          int64     // the store's number, in order of arrival; 0 before it is stored
	ReceivedAt  time.Time // when triagebot had read it whole
	Receiver    string    // regexp-quoted by Alertmanager: triage\.bot
	GroupLabels Labels    // may lack alertname
	ExternalURL string    // of the Alertmanager that sent it; differs between HA peers
	Truncated   uint64    // alerts that max_alerts cut off
	Alerts      []Alert   // at least one
}

package step

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/evidence"
)

func masking() triage.Redact {
	r := evidence.NewRedactor()
	return func(text string) string {
		masked, _ := r.RedactString(text)
		return masked
	}
}

// A picture cannot be masked once it is drawn, nor a name once it is cut: what
// is drawn is what was masked before.
func TestSecretsInLabelsAreNotDrawn(t *testing.T) {
	long := "https://" + strings.Repeat("a", 80) + ":hunter2sup3r@db.internal/" // cut within the password
	secret := func() []sample {
		return []sample{
			{triage.Labels{"instance": "https://admin:hunter2sup3r@db.internal/health"}, 300},
			{triage.Labels{"api_key": "hunter2plain", "pod": "a"}, 200},
			{triage.Labels{"instance": long}, 100},
		}
	}
	masked := []sample{
		{triage.Labels{"instance": "https://admin:<redacted:url-password>@db.internal/health"}, 300},
		{triage.Labels{"api_key": "<redacted:api-key>", "pod": "a"}, 200},
		{triage.Labels{"instance": strings.Replace(long, "hunter2sup3r", "<redacted:url-password>", 1)}, 100},
	}
	const kind = "query: {expr: 'latency{instance=\"https://admin:%s@db.internal/health\"}', chart: {range: 1h, unit: ms}}"
	draw := func(d Deps, expr string) (png []byte, all string) {
		e := newExecution(nil)
		e.env.Title = "" // so that the chart's title is the expression
		out, err := e.run(t.Context(), mustLoad(t, d, expr))
		if err != nil {
			t.Fatal(err)
		}
		png, alt, err := out.Artifacts[1].Draw(t.Context(), triage.VerdictNormal)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Rows {
			all += fmt.Sprintln(r.Name, r.Vars)
		}
		return png, all + out.Headline + alt + out.Artifacts[1].Title
	}
	fake := newFake(secret(), secret())
	d := withProm(fake)
	d.Redact = masking()
	got, said := draw(d, fmt.Sprintf(kind, "hunter2sup3r"))
	if strings.Contains(said, "hunter2") {
		t.Errorf("a secret is said: %s", said)
	}
	want, wantSaid := draw(withProm(newFake(masked, masked)), fmt.Sprintf(kind, "<redacted:url-password>"))
	if diff := cmp.Diff(wantSaid, said); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	if !bytes.Equal(got, want) {
		t.Error("the picture is not that of the masked labels")
	}
	if diff := cmp.Diff(secret(), fake.now, cmp.AllowUnexported(sample{})); diff != "" {
		t.Errorf("the datasource's own labels changed:\n%s", diff)
	}
}

package evidence

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
)

// masking is the rules as the rest of the program uses them.
func masking() triage.Redact {
	r := NewRedactor()
	return func(text string) string {
		masked, _ := r.RedactString(text)
		return masked
	}
}

func TestAValueIsMaskedByItsNameAndByItsLook(t *testing.T) {
	redact := masking()
	for _, tc := range []struct{ name, value, want string }{
		{"db_password", "hunter2plain", "<redacted:password>"},
		{"Api-Key", `key"with\quotes`, "<redacted:api-key>"},
		{"token", "", ""},
		{"password", "none", "none"},
		{"instance", "https://u:hunter2@h/x", "https://u:<redacted:url-password>@h/x"},
		{"note", "a \"quoted\" https://u:hunter2@h, Authorization: Bearer abc123def", `a "quoted" https://u:<redacted:url-password>@h, Authorization: Bearer <redacted:authorization>`},
		{"generator", "/g?q=https%3A%2F%2Fu%3Ahunter2%40h", "/g?q=https%3A%2F%2Fu%3A<redacted:url-password>%40h"},
		{"pod", "api-0", "api-0"},
		{`a"b}\`, "<b>&amp;</b>", "<b>&amp;</b>"},
		{"job", "two\nlines\t\u2028", "two\nlines\t\u2028"},
	} {
		if got := redact.Value(tc.name, tc.value); got != tc.want {
			t.Errorf("%s=%q became %q, want %q", tc.name, tc.value, got, tc.want)
		}
		if got := triage.Redact(nil).Value(tc.name, tc.value); got != tc.value {
			t.Errorf("nobody masks, and %q became %q", tc.value, got)
		}
	}
	labels := triage.Labels{"job": "api", "db_password": "hunter2plain"}
	want := triage.Labels{"job": "api", "db_password": "<redacted:password>"}
	if diff := cmp.Diff(want, redact.Labels(labels)); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if labels["db_password"] != "hunter2plain" {
		t.Error("masking changed the labels it was given")
	}
}

func TestAMaskedLinkIsStillALinkAndMaskedOnce(t *testing.T) {
	redact := masking()
	const link = "https://u:hunter2@h/x?token=abc&page=2"
	const want = "https://u:%3Credacted:url-password%3E@h/x?token=%3Credacted:token%3E&page=2"
	got := redact.URL(link)
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if again := redact.URL(got); again != got || redact.Text(got) != got {
		t.Errorf("masked again it became %s and %s", again, redact.Text(got))
	}
}

package codexsim

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTheMaintenanceEndpointSetsTheFlagForAdmins(t *testing.T) {
	simulate(t, Options{AdminToken: "hunter2"}, func(s *simulation) {
		for _, test := range []struct {
			name, method, token, body string
			status, calls             int
			flag                      float64
		}{
			{"without a token", http.MethodPost, "", `{"enabled":true}`, 401, 0, 0},
			{"with another", http.MethodPost, "Bearer hunter3", `{"enabled":true}`, 401, 0, 0},
			{"with it in another scheme", http.MethodPost, "Basic hunter2", `{"enabled":true}`, 401, 0, 0},
			{"by GET", http.MethodGet, "Bearer hunter2", "", 405, 0, 0},
			{"without a state", http.MethodPost, "Bearer hunter2", `{}`, 400, 0, 0},
			{"with no JSON", http.MethodPost, "Bearer hunter2", `on`, 400, 0, 0},
			{"with too much", http.MethodPost, "Bearer hunter2", `"` + strings.Repeat("x", maxBody), 400, 0, 0},
			{"on", http.MethodPost, "Bearer hunter2", `{"enabled":true}`, 200, 1, 1},
			{"on again", http.MethodPost, "Bearer hunter2", `{"enabled":true}`, 200, 2, 1},
			{"off", http.MethodPost, "Bearer hunter2", `{"enabled":false}`, 200, 3, 0},
		} {
			r := httptest.NewRequest(test.method, routeMaintenance, strings.NewReader(test.body))
			if test.token != "" {
				r.Header.Set("Authorization", test.token)
			}
			rec := httptest.NewRecorder()
			s.Handler().ServeHTTP(rec, r)
			if rec.Code != test.status || s.MaintenanceCalls() != test.calls || s.value("codex_maintenance_mode") != test.flag {
				t.Errorf("%s: %d, %d calls, the metric is %g; want %d, %d, %g",
					test.name, rec.Code, s.MaintenanceCalls(), s.value("codex_maintenance_mode"), test.status, test.calls, test.flag)
			}
		}
	})
}

// Without a token nobody is an admin.
func TestWithoutAnAdminTokenNobodySetsTheFlag(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		r := httptest.NewRequest(http.MethodPost, routeMaintenance, strings.NewReader(`{"enabled":true}`))
		r.Header.Set("Authorization", "Bearer ")
		rec := httptest.NewRecorder()
		s.Handler().ServeHTTP(rec, r)
		if rec.Code != http.StatusUnauthorized || s.value("codex_maintenance_mode") != 0 {
			t.Errorf("%d", rec.Code)
		}
	})
}

// The maintenance flag's own endpoint, as an app server has one: authenticated,
// and asked for a state, so that asking twice changes nothing.

package codexsim

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strings"
)

// routeMaintenance takes POST with {"enabled":true} or {"enabled":false}.
const routeMaintenance = "/admin/maintenance"

// MaintenanceCalls is how often the endpoint was asked, by whoever may, to set
// the flag, whatever it was before.
func (a *App) MaintenanceCalls() int { return int(a.maintenanceCalls.Load()) }

func (a *App) setMaintenance(w http.ResponseWriter, r *http.Request) {
	if !a.isAdmin(r) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "show the admin token as a bearer token"})
		return
	}
	var wanted struct {
		Enabled *bool `json:"enabled"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&wanted); err != nil || wanted.Enabled == nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": `write {"enabled":true} or {"enabled":false}`})
		return
	}
	a.maintenanceCalls.Add(1)
	if err := a.Fault(string(Maintenance), *wanted.Enabled); err != nil {
		writeJSON(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, map[string]bool{"enabled": *wanted.Enabled})
}

// isAdmin says whether the request shows the admin token; without one nobody is.
func (a *App) isAdmin(r *http.Request) bool {
	token, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return a.opts.AdminToken != "" && isBearer && subtle.ConstantTimeCompare([]byte(token), []byte(a.opts.AdminToken)) == 1
}

package silence

// A real Alertmanager, by its API.

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/client"
	"github.com/prometheus/alertmanager/api/v2/client/silence"
	"github.com/prometheus/alertmanager/api/v2/models"
)

// API is an Alertmanager.
type API struct {
	Client *client.AlertmanagerAPI
	// ExternalURL is how people's browsers reach it.
	ExternalURL string
}

var _ Alertmanager = API{}

// Find implements [Alertmanager].
func (a API) Find(ctx context.Context, mark string) (string, error) {
	reply, err := a.Client.Silence.GetSilences(silence.NewGetSilencesParamsWithContext(ctx))
	if err != nil {
		return "", fmt.Errorf("list silences: %w", err)
	}
	for _, s := range reply.Payload {
		if s.ID != nil && s.Comment != nil && s.Status != nil && s.Status.State != nil &&
			strings.Contains(*s.Comment, mark) && *s.Status.State != models.SilenceStatusStateExpired {
			return *s.ID, nil
		}
	}
	return "", nil
}

// Make implements [Alertmanager].
func (a API) Make(ctx context.Context, w Wanted) (string, error) {
	starts, ends := strfmt.DateTime(w.StartsAt), strfmt.DateTime(w.End)
	equal, regex := true, false
	s := &models.PostableSilence{Silence: models.Silence{CreatedBy: &w.Author, Comment: &w.Comment, StartsAt: &starts, EndsAt: &ends}}
	for _, name := range w.Matchers.Names() {
		value := w.Matchers[name]
		s.Matchers = append(s.Matchers, &models.Matcher{Name: &name, Value: &value, IsEqual: &equal, IsRegex: &regex})
	}
	reply, err := a.Client.Silence.PostSilences(silence.NewPostSilencesParamsWithContext(ctx).WithSilence(s))
	if err != nil {
		var bad *silence.PostSilencesBadRequest
		if errors.As(err, &bad) {
			return "", fmt.Errorf("Alertmanager refuses the silence: %s", bad.Payload) //nolint:staticcheck // its name
		}
		return "", fmt.Errorf("make the silence: %w", err)
	}
	return reply.Payload.SilenceID, nil
}

// Ended implements [Alertmanager].
func (a API) Ended(ctx context.Context, id string) (bool, error) {
	reply, err := a.Client.Silence.GetSilence(silence.NewGetSilenceParamsWithContext(ctx).WithSilenceID(strfmt.UUID(id)))
	var missing *silence.GetSilenceNotFound
	switch {
	case errors.As(err, &missing):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("look at silence %s: %w", id, err)
	}
	s := reply.Payload
	return s.Status != nil && s.Status.State != nil && *s.Status.State == models.SilenceStatusStateExpired, nil
}

// Link implements [Alertmanager].
func (a API) Link(id string) string {
	return strings.TrimSuffix(a.ExternalURL, "/") + "/#/silences/" + url.PathEscape(id)
}

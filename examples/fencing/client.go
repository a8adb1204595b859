package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// errOver is the store's answer to a former master.
var errOver = errors.New("the store refuses")

// client writes to the store and reads from it.
type client struct {
	url  string
	http *http.Client
}

// put writes a value in an epoch. It returns errOver if the store refuses the epoch.
func (c client) put(ctx context.Context, key string, epoch int32, value string) error {
	code, text, err := c.do(ctx, http.MethodPut, fmt.Sprintf("%s?epoch=%d", key, epoch), value)
	switch {
	case err != nil:
		return err
	case code == http.StatusConflict:
		return fmt.Errorf("%w: %s", errOver, text)
	case code != http.StatusNoContent:
		return fmt.Errorf("the store answers %d: %s", code, text)
	}
	return nil
}

// get reads a number. It is 0 until it is written for the first time.
func (c client) get(ctx context.Context, key string) (int64, error) {
	code, text, err := c.do(ctx, http.MethodGet, key, "")
	switch {
	case err != nil:
		return 0, err
	case code == http.StatusNotFound:
		return 0, nil
	case code != http.StatusOK:
		return 0, fmt.Errorf("the store answers %d: %s", code, text)
	}
	var e entry
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return 0, fmt.Errorf("the store's answer: %w", err)
	}
	return strconv.ParseInt(e.Value, 10, 64)
}

func (c client) do(ctx context.Context, method, path, body string) (code int, text string, err error) {
	request, err := http.NewRequestWithContext(ctx, method, c.url+"/"+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, strings.TrimSpace(string(answer)), err
}

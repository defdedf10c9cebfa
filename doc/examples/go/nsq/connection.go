// Package nsq publishes to an nsqd and consumes from it, over the V2 protocol.
//
// It is small on purpose: one nsqd for each Producer and Consumer, no nsqlookupd, no TLS, no
// compression, no AUTH. Programs that need those have go-nsq.
package nsq

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// The types of frames.
const (
	response     = 0
	errorFrame   = 1
	messageFrame = 2
)

const (
	// The largest frame taken from nsqd. Its own limit for a message is 1 MB, unless it is told else.
	maxFrame = 64 << 20
	// How long connecting, an answer, and a write may take.
	patience = 10 * time.Second
	// The longest pause between two tries to connect.
	maxPause = 10 * time.Second
)

// A Refusal is what nsqd said in an error frame, such as "E_BAD_TOPIC ...".
type Refusal struct{ Text string }

func (r *Refusal) Error() string { return "nsqd said " + r.Text }

// code is the first word of the text.
func (r *Refusal) code() string {
	code, _, _ := strings.Cut(r.Text, " ")
	return code
}

// permanent says whether another try would be refused as well. A command that "failed" met a full
// disk, an nsqd that is about to stop, or too many consumers, all of which may pass.
func permanent(err error) bool {
	var refusal *Refusal
	return errors.As(err, &refusal) && !strings.HasSuffix(refusal.code(), "_FAILED")
}

var validName = regexp.MustCompile(`^[.a-zA-Z0-9_-]+(#ephemeral)?$`)

// checkName keeps a name from being taken for more than a name.
func checkName(name string) error {
	if len(name) > 64 || !validName.MatchString(name) {
		return fmt.Errorf("%q cannot be the name of a topic or channel", name)
	}
	return nil
}

// A connection is what both a Producer and a Consumer have to an nsqd. One goroutine reads; any
// may send.
type connection struct {
	socket    net.Conn
	reader    *bufio.Reader
	heartbeat time.Duration
	sending   sync.Mutex
	// The largest number that nsqd takes for RDY.
	maxReady int
}

// connect dials, and tells nsqd who we are.
func connect(ctx context.Context, address string, heartbeat time.Duration) (*connection, error) {
	dialer := net.Dialer{Timeout: patience}
	socket, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &connection{socket: socket, reader: bufio.NewReader(socket), heartbeat: heartbeat}
	if err := c.identify(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *connection) identify() error {
	hostname, err := os.Hostname()
	if err != nil {
		return err
	}
	client, _, _ := strings.Cut(hostname, ".")
	body, err := json.Marshal(map[string]any{
		"client_id":           client,
		"hostname":            hostname,
		"user_agent":          "nsqexample/1",
		"feature_negotiation": true,
		"heartbeat_interval":  c.heartbeat.Milliseconds(),
	})
	if err != nil {
		return err
	}
	// The magic says which protocol follows. Nothing answers it.
	data, err := c.ask(append([]byte("  V2IDENTIFY\n"), sized(body)...))
	if err != nil {
		return err
	}
	var negotiated struct {
		MaxReady     int  `json:"max_rdy_count"`
		AuthRequired bool `json:"auth_required"`
	}
	if err := json.Unmarshal(data, &negotiated); err != nil {
		return fmt.Errorf("the answer to IDENTIFY: %w", err)
	}
	if negotiated.AuthRequired {
		return &Refusal{"that it wants AUTH, which this program does not know"}
	}
	c.maxReady = negotiated.MaxReady
	return nil
}

// send writes whole commands. When that fails, the connection is at its end, and the one who reads
// finds out.
func (c *connection) send(commands []byte) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	_ = c.socket.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.socket.Write(commands)
	if err != nil {
		c.close()
	}
	return err
}

// ask sends a command and waits for its answer. Only for when nothing else is on its way.
func (c *connection) ask(command []byte) ([]byte, error) {
	if err := c.send(command); err != nil {
		return nil, err
	}
	kind, data, err := c.read(patience)
	switch {
	case err != nil:
		return nil, err
	case kind == errorFrame:
		return nil, &Refusal{string(data)}
	case kind != response:
		return nil, fmt.Errorf("a frame of type %d where an answer was due", kind)
	}
	return data, nil
}

// read gives the next frame that is not a heartbeat. Heartbeats are answered: nsqd closes a
// connection that has not sent a command during two of them. And one on which nothing comes during
// two of them is taken for dead here.
func (c *connection) read(wait time.Duration) (uint32, []byte, error) {
	for {
		_ = c.socket.SetReadDeadline(time.Now().Add(wait))
		var head [8]byte
		if _, err := io.ReadFull(c.reader, head[:]); err != nil {
			return 0, nil, err
		}
		size, kind := binary.BigEndian.Uint32(head[:4]), binary.BigEndian.Uint32(head[4:])
		if size < 4 || size > maxFrame {
			return 0, nil, fmt.Errorf("a frame of %d bytes", size)
		}
		data := make([]byte, size-4)
		if _, err := io.ReadFull(c.reader, data); err != nil {
			return 0, nil, err
		}
		if kind != response || string(data) != "_heartbeat_" {
			return kind, data, nil
		}
		if err := c.send([]byte("NOP\n")); err != nil {
			return 0, nil, err
		}
	}
}

func (c *connection) close() { _ = c.socket.Close() }

// sized puts the length of a body before it.
func sized(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// pauses are what is between two tries to connect: each up to twice as long as the one before, by
// lot, so that not all clients come at the same moment.
type pauses struct{ longest time.Duration }

// next waits; an error means that the context was done first.
func (p *pauses) next(ctx context.Context) error {
	if p.longest *= 2; p.longest == 0 {
		p.longest = 200 * time.Millisecond
	} else if p.longest > maxPause {
		p.longest = maxPause
	}
	lot := rand.New(rand.NewSource(time.Now().UnixNano()))
	pause := p.longest/2 + time.Duration(lot.Int63n(int64(p.longest/2)))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

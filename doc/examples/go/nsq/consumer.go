package nsq

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"strings"
	"sync"
	"time"
)

// The longest block of the backoff is 2 to the power of this, in seconds.
const maxLevel = 6

// A Message is what nsqd delivered. It may be delivered more than once.
type Message struct {
	ID        string
	Body      []byte
	Attempts  uint16
	Timestamp time.Time
}

// parse takes apart the data of a frame: time, attempts, id, body.
func parse(data []byte) (Message, error) {
	if len(data) < 26 {
		return Message{}, errors.New("a message that is too short")
	}
	return Message{
		ID:        string(data[10:26]),
		Body:      data[26:],
		Attempts:  binary.BigEndian.Uint16(data[8:10]),
		Timestamp: time.Unix(0, int64(binary.BigEndian.Uint64(data[:8]))),
	}, nil
}

// A Consumer takes messages of a channel from one nsqd, and logs trouble. Fields may be changed until
// Run is called.
type Consumer struct {
	// Messages that may be under way to us, and handlers that run, at once.
	MaxInFlight int
	// A message that was delivered more often is not handled, but finished.
	MaxAttempts uint16
	// How long a message waits after each attempt that failed, times the number of attempts. Longer
	// than the first blocks of the backoff, so that others come first.
	RequeueDelay time.Duration
	// How often nsqd asks whether we are there.
	Heartbeat time.Duration

	address, topic, channel string
	handle                  func(Message) error
	handlers                sync.WaitGroup

	// For what follows, and for the order of RDY commands.
	backoff sync.Mutex
	conn    *connection
	level   int
	blocked bool
}

// NewConsumer makes a Consumer that calls handle, in as many goroutines as there are messages. When
// that returns nil, the message is finished. Else it comes again later, and the Consumer slows down.
func NewConsumer(address, topic, channel string, handle func(Message) error) *Consumer {
	return &Consumer{
		MaxInFlight:  10,
		MaxAttempts:  5,
		RequeueDelay: 5 * time.Second,
		Heartbeat:    30 * time.Second,
		address:      address,
		topic:        topic,
		channel:      channel,
		handle:       handle,
	}
}

// Run consumes until the context is done and every handler has returned, which is no error. It
// connects again for as long as nsqd does not refuse what it is asked for.
func (c *Consumer) Run(ctx context.Context) error {
	for _, name := range []string{c.topic, c.channel} {
		if err := checkName(name); err != nil {
			return err
		}
	}
	for between := (pauses{}); ; {
		subscribed, err := c.session(ctx)
		// No more handlers than MaxInFlight, also where one connection follows the other.
		c.handlers.Wait()
		if ctx.Err() != nil {
			return nil
		}
		if permanent(err) {
			return err
		}
		log.Printf("%s: %v", c.address, err)
		if subscribed {
			between = pauses{}
		}
		if between.next(ctx) != nil {
			return nil
		}
	}
}

// session is the life of one connection; whether it came to a subscription, and why it ended.
func (c *Consumer) session(ctx context.Context) (bool, error) {
	conn, err := connect(ctx, c.address, c.Heartbeat)
	if err != nil {
		return false, err
	}
	defer conn.close()
	if _, err := conn.ask([]byte(fmt.Sprintf("SUB %s %s\n", c.topic, c.channel))); err != nil {
		return false, err
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-ctx.Done():
			// No more messages, please. The ones that we have can still be answered.
			_ = conn.send([]byte("CLS\n"))
		case <-ended:
		}
	}()
	c.begin(conn)
	for {
		kind, data, err := conn.read(2 * c.Heartbeat)
		switch {
		case err != nil:
			return true, err
		case kind == messageFrame:
			message, err := parse(data)
			if err != nil {
				return true, err
			}
			c.handlers.Add(1)
			go c.treat(conn, message)
		case kind == errorFrame && isLate(data):
			log.Printf("%s: %s", c.address, data)
		case kind == errorFrame:
			return true, &Refusal{string(data)}
		case string(data) == "CLOSE_WAIT":
			// Meanwhile, heartbeats are answered.
			go func() {
				c.handlers.Wait()
				conn.close()
			}()
		}
	}
}

// isLate says whether an error is about one message only, which is no longer ours and will come
// again. After all other errors nsqd closes the connection.
func isLate(data []byte) bool {
	text := string(data)
	return strings.HasPrefix(text, "E_FIN_FAILED") || strings.HasPrefix(text, "E_REQ_FAILED")
}

// treat handles a message and answers for it. RDY goes first, so that nsqd sends no other message
// between the two.
func (c *Consumer) treat(conn *connection, message Message) {
	defer c.handlers.Done()
	if message.Attempts > c.MaxAttempts {
		log.Printf("given up: %s", message.ID)
		_ = conn.send([]byte("FIN " + message.ID + "\n"))
		return
	}
	if err := c.handle(message); err != nil {
		log.Printf("attempt %d of %s: %v", message.Attempts, message.ID, err)
		c.count(false)
		delay := c.RequeueDelay * time.Duration(message.Attempts)
		_ = conn.send([]byte(fmt.Sprintf("REQ %s %d\n", message.ID, delay.Milliseconds())))
		return
	}
	c.count(true)
	_ = conn.send([]byte("FIN " + message.ID + "\n"))
}

// Backoff: after a failure nothing is taken for 2 seconds, then one message. If that fails as well,
// nothing for 4 seconds, and so on. Each success is a step back. So what a handler depends on is
// not flooded while it is down, and other consumers may have the messages.

// begin tells nsqd on a new connection how many messages it may send.
func (c *Consumer) begin(conn *connection) {
	c.backoff.Lock()
	defer c.backoff.Unlock()
	c.conn = conn
	c.ready()
}

// count changes the level of the backoff. What was under way when a block began tells nothing new.
func (c *Consumer) count(success bool) {
	c.backoff.Lock()
	defer c.backoff.Unlock()
	switch {
	case c.blocked || success && c.level == 0:
		return
	case success:
		c.level--
	case c.level < maxLevel:
		c.level++
	}
	if c.level > 0 {
		c.blocked = true
		time.AfterFunc(time.Second<<c.level, c.unblock)
	}
	c.ready()
}

// unblock lets a single message come.
func (c *Consumer) unblock() {
	c.backoff.Lock()
	defer c.backoff.Unlock()
	c.blocked = false
	c.ready()
}

func (c *Consumer) ready() {
	ready := c.MaxInFlight
	switch {
	case c.blocked:
		ready = 0
	case c.level > 0:
		ready = 1
	case ready > c.conn.maxReady:
		ready = c.conn.maxReady
	}
	_ = c.conn.send([]byte(fmt.Sprintf("RDY %d\n", ready)))
}

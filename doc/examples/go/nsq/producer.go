package nsq

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A Producer publishes to one nsqd, and may be used by several goroutines. One publish is under way
// at a time, so that many messages are published fastest by few calls.
type Producer struct {
	// How often nsqd asks whether we are there.
	Heartbeat time.Duration

	address    string
	publishing sync.Mutex
	conn       *connection
	answers    <-chan frame
}

type frame struct {
	kind uint32
	data []byte
}

// NewProducer does not connect yet: the first Publish does.
func NewProducer(address string) *Producer {
	return &Producer{Heartbeat: 30 * time.Second, address: address}
}

// Publish returns nil when nsqd has said OK, after which it does not lose the messages. They go
// together, all of them or none.
//
// Trouble with the connection, or with nsqd, is a reason to try again until the context is done. So
// a message may be published twice, if it was the answer that was lost. A *Refusal means that nsqd
// would not take these messages at any time; after another error it may have them or not.
func (p *Producer) Publish(ctx context.Context, topic string, bodies ...[]byte) error {
	command, err := publication(topic, bodies)
	if err != nil {
		return err
	}
	p.publishing.Lock()
	defer p.publishing.Unlock()
	for between := (pauses{}); ; {
		err := p.try(ctx, command)
		if err == nil || permanent(err) {
			return err
		}
		if between.next(ctx) != nil {
			return fmt.Errorf("not published: %w", err)
		}
	}
}

// publication is the command PUB, or MPUB for several messages.
func publication(topic string, bodies [][]byte) ([]byte, error) {
	if err := checkName(topic); err != nil {
		return nil, err
	}
	switch len(bodies) {
	case 0:
		return nil, errors.New("there is nothing to publish")
	case 1:
		return append([]byte("PUB "+topic+"\n"), sized(bodies[0])...), nil
	}
	many := binary.BigEndian.AppendUint32(nil, uint32(len(bodies)))
	for _, body := range bodies {
		many = append(many, sized(body)...)
	}
	return append([]byte("MPUB "+topic+"\n"), sized(many)...), nil
}

// try publishes once. Nothing is left behind that could be taken for the answer to another publish.
func (p *Producer) try(ctx context.Context, command []byte) error {
	if err := p.open(ctx); err != nil {
		return err
	}
	if err := p.conn.send(command); err != nil {
		p.close()
		return err
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case answer, open := <-p.answers:
		switch {
		case open && answer.kind == response && string(answer.data) == "OK":
			return nil
		case open && answer.kind == errorFrame:
			// Whatever it is that nsqd refuses in a publish, it closes the connection.
			p.close()
			return &Refusal{string(answer.data)}
		}
		p.close()
		return errors.New("the connection was lost before the answer")
	case <-timeout.C:
		p.close()
		return errors.New("nsqd does not answer")
	case <-ctx.Done():
		p.close()
		return ctx.Err()
	}
}

// open sees to it that there is a connection that is alive, as far as one can know.
func (p *Producer) open(ctx context.Context) error {
	if p.conn != nil {
		select {
		case <-p.answers:
			// It was closed while nobody published, or nsqd said why it is about to close it.
			p.close()
		default:
			return nil
		}
	}
	conn, err := connect(ctx, p.address, p.Heartbeat)
	if err != nil {
		return err
	}
	answers := make(chan frame, 1)
	p.conn, p.answers = conn, answers
	go func() {
		defer close(answers)
		for {
			kind, data, err := conn.read(2 * p.Heartbeat)
			if err != nil {
				conn.close()
				return
			}
			select {
			case answers <- frame{kind, data}:
			default:
				// Two answers to one question: this is no nsqd.
				conn.close()
				return
			}
		}
	}()
	return nil
}

func (p *Producer) close() {
	if p.conn != nil {
		p.conn.close()
		p.conn, p.answers = nil, nil
	}
}

// Close waits for a publish that is under way. Another one would connect again.
func (p *Producer) Close() {
	p.publishing.Lock()
	defer p.publishing.Unlock()
	p.close()
}

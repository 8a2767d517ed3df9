mod controls;
mod line;

use std::time::Duration;

use super::INITIAL_WINDOW;
use super::model::Model;
use controls::{cubic, model};
use line::{Line, Simulation};

const MIB: u64 = 1 << 20;
const PACKET: u64 = 1_452;

/// One flow must need at most half as long again as the rate allows, beside 25 round trips for its start, and lose
/// at most 5 % beside what the line loses by itself; a start-up that meets a short queue costs up to a bandwidth-
/// delay product more.
#[track_caller]
fn check(line: Line, seed: u64) {
    let mbit = if line.police == 0 {
        line.mbit
    } else {
        line.police
    };
    let rate = mbit * 1_000_000 / 8;
    let bytes = (rate * 5).min(24 * MIB);
    let outcome = Simulation::new(line, seed)
        .add(model(), Duration::ZERO, bytes)
        .run(Duration::from_mins(5))
        .remove(0);
    let time = outcome.time.expect("it arrives");
    let at_rate = Duration::from_secs(bytes).div_f64(to_f64(rate));
    let start = Duration::from_millis(25 * line.rtt_ms);
    assert!(
        time < at_rate.mul_f64(1.5) + start,
        "{line:?}: {time:?} for {at_rate:?}"
    );
    let short = if line.queue < 100 {
        line.mbit * line.rtt_ms * 125_000 / bytes
    } else {
        0
    };
    // A policer shows itself by what it drops alone, and lets a burst go first.
    let police = if line.police > 0 { 70 } else { 0 };
    let allowed = 50 + line.loss / 1_000 + short + police;
    assert!(
        outcome.dropped <= allowed,
        "{line:?}: {} of 1000 dropped",
        outcome.dropped
    );
}

fn to_f64(value: u64) -> f64 {
    u32::try_from(value).expect("small").into()
}

/// The share of a flow, in percent, beside one that was there two seconds before, and what of a thousand packets
/// was dropped.
fn share(line: Line, other: Box<dyn line::Control>, seed: u64) -> (u64, u64) {
    let outcomes = Simulation::new(line, seed)
        .add(model(), Duration::from_secs(2), 1 << 40)
        .add(other, Duration::ZERO, 1 << 40)
        .run(Duration::from_mins(1));
    let all: u64 = outcomes.iter().map(|it| it.arrived).sum();
    (outcomes[0].arrived * 100 / all, outcomes[0].dropped)
}

#[test]
fn the_rate_is_used_whatever_the_losses() {
    for rtt in [20, 100, 200] {
        for mbit in [100, 500] {
            for queue in [10, 100] {
                for loss in [0, 1_000, 10_000] {
                    let line = Line::new(rtt, mbit);
                    check(
                        Line {
                            queue,
                            loss,
                            ..line
                        },
                        1,
                    );
                }
            }
        }
    }
}

#[test]
fn a_short_line_is_used_too() {
    check(Line::new(1, 1_000), 3);
    check(Line::new(3, 400), 4);
}

/// Other round trips, rates, queues, kinds of loss and seeds than the model was tuned on. Keep them so: what fails
/// here is mended by thought, and then tried on lines that are new.
#[test]
fn lines_that_the_model_was_not_tuned_on() {
    let held_out = [
        Line {
            loss: 2_000,
            ..Line::new(35, 37)
        },
        Line {
            queue: 50,
            loss: 500,
            ..Line::new(75, 310)
        },
        Line {
            queue: 150,
            loss: 5_000,
            ..Line::new(140, 60)
        },
        Line {
            loss: 1_000,
            ..Line::new(280, 25)
        },
        Line {
            loss: 10_000,
            ..Line::new(10, 200)
        },
        Line {
            queue: 30,
            loss: 3_000,
            ..Line::new(160, 250)
        },
        Line {
            queue: 200,
            ..Line::new(50, 10)
        },
        Line {
            jitter: 15_000,
            ..Line::new(60, 80)
        },
        Line {
            reorder: 20,
            ..Line::new(90, 45)
        },
        Line {
            loss: 5_000,
            burst: 20,
            ..Line::new(120, 90)
        },
        Line {
            police: 40,
            ..Line::new(70, 300)
        },
    ];
    for line in held_out {
        for seed in [101, 202] {
            check(line, seed);
        }
    }
}

#[test]
fn a_share_beside_cubic() {
    for (rtt, mbit, queue, seed) in [
        (20, 50, 100, 1),
        (100, 50, 100, 2),
        (45, 30, 100, 303),
        (130, 40, 100, 404),
    ] {
        let line = Line {
            queue,
            ..Line::new(rtt, mbit)
        };
        let (share, dropped) = share(line, cubic(), seed);
        // By the kernel's Cubic, whose packets come in bursts, it is some percent more.
        assert!((30..=62).contains(&share), "{line:?}: {share} %");
        assert!(dropped <= 50, "{line:?}: {dropped} of 1000 dropped");
    }
    for (rtt, mbit, seed) in [(20, 50, 1), (100, 50, 2), (45, 30, 303), (130, 40, 404)] {
        let line = Line {
            queue: 25,
            ..Line::new(rtt, mbit)
        };
        let (share, dropped) = share(line, cubic(), seed);
        assert!((30..=85).contains(&share), "{line:?}: {share} %");
        assert!(dropped <= 50, "{line:?}: {dropped} of 1000 dropped");
    }
}

#[test]
fn a_share_beside_itself() {
    for (rtt, seed) in [(20, 1), (60, 505)] {
        let line = Line::new(rtt, 40);
        let (share, dropped) = share(line, model(), seed);
        assert!((25..=75).contains(&share), "{line:?}: {share} %");
        assert!(dropped <= 50, "{line:?}: {dropped} of 1000 dropped");
    }
}

/// The losses that make Cubic useless on such a line, so that the simulation is known to have them.
#[test]
fn cubic_starves_where_the_model_does_not() {
    let line = Line {
        loss: 5_000,
        ..Line::new(100, 100)
    };
    let time = |control| {
        let simulation = Simulation::new(line, 7).add(control, Duration::ZERO, 16 * MIB);
        simulation
            .run(Duration::from_mins(5))
            .remove(0)
            .time
            .expect("it arrives")
    };
    assert!(time(cubic()) > time(model()) * 8);
}

/// Of a line of 50 ms that carries 400 packets in that time.
const PACKET_TIME: Duration = Duration::from_micros(125);

/// One round trip of `packets` that are sent at once, of which the first `lost` are lost.
fn round(model: &mut Model, now: &mut Duration, packets: u64, lost: u64, limited: bool) {
    let sent = *now;
    model.on_sent(sent);
    *now += Duration::from_millis(50).max(PACKET_TIME * u32::try_from(packets).expect("few"));
    for _ in lost..packets {
        model.on_ack(*now, sent, PACKET);
    }
    model.on_end_acks(*now, 0, limited);
    if lost > 0 {
        model.on_lost(*now, lost * PACKET, false);
    }
}

#[test]
fn a_sender_with_little_to_say_learns_no_low_rate() {
    for rounds in [6, 100] {
        let (mut model, mut now) = (
            Model::new(Duration::ZERO, INITIAL_WINDOW, PACKET),
            Duration::ZERO,
        );
        for _ in 0..rounds {
            let packets = model.window() / PACKET;
            round(&mut model, &mut now, packets, 0, false);
        }
        let before = model.window();
        for _ in 0..200 {
            round(&mut model, &mut now, 1, 0, true);
            now += Duration::from_secs(5);
        }
        let after = model.window();
        assert!(after >= before / 2, "{after} after {before}");
    }
}

#[test]
fn a_mark_of_the_path_ends_the_start() {
    let (mut model, mut now) = (
        Model::new(Duration::ZERO, INITIAL_WINDOW, PACKET),
        Duration::ZERO,
    );
    for _ in 0..5 {
        let packets = model.window() / PACKET;
        round(&mut model, &mut now, packets, 0, false);
    }
    let before = model.window();
    model.on_lost(now, 0, false);
    for _ in 0..5 {
        let packets = model.window() / PACKET;
        round(&mut model, &mut now, packets, 0, false);
    }
    assert!(
        model.window() <= before,
        "{} after {before}",
        model.window()
    );
}

#[test]
fn after_a_silence_it_starts_anew() {
    let (mut model, mut now) = (
        Model::new(Duration::ZERO, INITIAL_WINDOW, PACKET),
        Duration::ZERO,
    );
    for _ in 0..8 {
        let packets = model.window() / PACKET;
        round(&mut model, &mut now, packets, 0, false);
    }
    assert!(model.window() > 4 * INITIAL_WINDOW);
    model.on_lost(now, 100 * PACKET, true);
    assert_eq!(model.window(), 4 * PACKET);
    round(&mut model, &mut now, 4, 0, false);
    assert!(model.window() > 4 * PACKET);
}

/// A peer chooses what it acknowledges and when; the library gives times and sizes as they come. Nothing of that
/// may end the process or make the window leave its bounds.
#[test]
fn no_course_of_events_breaks_it() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) % bound
    };
    let times = [0, 1, 1_000, 1_000_000_000, u64::MAX];
    for _ in 0..200 {
        let mut model = Model::new(Duration::ZERO, INITIAL_WINDOW, PACKET);
        let mut now = Duration::ZERO;
        for _ in 0..300 {
            let time = Duration::from_nanos(
                draw(3_000_000)
                    .max(times[usize::try_from(draw(40)).unwrap().min(4)] * (draw(40) / 39)),
            );
            let bytes = if draw(30) == 0 {
                u64::MAX
            } else {
                draw(60_000)
            };
            match draw(6) {
                0 => model.on_sent(now),
                1 => model.on_ack(now, now.saturating_sub(time), bytes),
                2 => model.on_end_acks(now, bytes, draw(2) == 0),
                3 => model.on_lost(now, bytes, draw(20) == 0),
                4 => model.set_mtu(1_200 + draw(300)),
                _ => now = now.saturating_add(time),
            }
            assert!((4 * 1_200..=64 << 20).contains(&model.window()));
        }
    }
}

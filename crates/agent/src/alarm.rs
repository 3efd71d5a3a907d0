//! One alarm of the agent: it wakes when the next thing is due, and at no other time.
//!
//! On Linux it follows the clock on the wall, not the time that the computer was awake: after eight hours of sleep it
//! rings at once, and when somebody sets the clock it rings too, so that what is due is worked out anew.

use std::time::Duration;

use countersign_model::{Clock, UnixSecs};

/// The alarm.
pub struct Alarm {
    #[cfg(target_os = "linux")]
    timer: Option<tokio::io::unix::AsyncFd<rustix::fd::OwnedFd>>,
}

impl Alarm {
    /// Makes one, inside a tokio runtime.
    #[must_use]
    pub fn new() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            timer: linux::timer()
                .inspect_err(
                    |error| tracing::warn!(%error, "no timer of the system: sleep is not noticed"),
                )
                .ok(),
        }
    }

    /// Rings at this time, or when the clock is set; never, where nothing is due.
    pub async fn at(&self, due: Option<UnixSecs>, clock: &dyn Clock) {
        let Some(due) = due else {
            return std::future::pending().await;
        };
        #[cfg(target_os = "linux")]
        if let Some(timer) = &self.timer {
            match linux::ring(timer, due).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "the timer of the system failed"),
            }
        }
        let left = u64::try_from(due.0.saturating_sub(clock.now().0)).unwrap_or(0);
        tokio::time::sleep(Duration::from_secs(left)).await;
    }
}

impl Default for Alarm {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;

    use countersign_model::UnixSecs;
    use rustix::fd::OwnedFd;
    use rustix::io::{Errno, read};
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::unix::AsyncFd;

    pub(super) fn timer() -> io::Result<AsyncFd<OwnedFd>> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; an OwnedFd keeps what it owns open"
        )]
        AsyncFd::new(timer)
    }

    pub(super) async fn ring(timer: &AsyncFd<OwnedFd>, due: UnixSecs) -> io::Result<()> {
        let none = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let when = Itimerspec {
            it_interval: none,
            it_value: Timespec {
                // Zero would disarm it.
                tv_sec: due.0.max(1),
                tv_nsec: 0,
            },
        };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(timer.get_ref(), flags, &when)?;
        loop {
            let mut ready = timer.readable().await?;
            let mut times = [0; 8];
            match read(timer.get_ref(), &mut times) {
                // It rang, or the clock was set.
                Ok(_) | Err(Errno::CANCELED) => {
                    ready.clear_ready();
                    return Ok(());
                }
                // Of an earlier setting.
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    struct Wall;

    impl Clock for Wall {
        fn now(&self) -> UnixSecs {
            let since = SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap();
            UnixSecs(i64::try_from(since.as_secs()).unwrap())
        }
    }

    #[tokio::test]
    async fn it_rings_for_what_is_past_and_again_for_what_comes() {
        let alarm = Alarm::new();
        let now = Wall.now();
        alarm.at(Some(UnixSecs(now.0 - 100)), &Wall).await;
        // It rings too when somebody sets the clock meanwhile.
        while Wall.now() <= now {
            alarm.at(Some(UnixSecs(now.0 + 1)), &Wall).await;
        }
    }

    #[tokio::test]
    async fn a_later_setting_replaces_the_earlier_one() {
        let alarm = Alarm::new();
        let far = UnixSecs(Wall.now().0 + 3600);
        let rang = tokio::select! {
            biased;
            () = alarm.at(Some(far), &Wall) => true,
            () = tokio::task::yield_now() => false,
        };
        assert!(!rang);
        alarm.at(Some(UnixSecs(1)), &Wall).await;
    }
}

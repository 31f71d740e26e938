//! A new configuration takes the place of the running one, between batches.
//!
//! What did not change goes on: inputs keep their connections and places, outputs their queues,
//! filters what they remember. What changed is replaced:
//!
//! - An **input** is told to end. Its successor starts when it has, and begins where it stopped: they
//!   share the tracker, so positions still move over the unbroken run of both. Batches that it had
//!   sent are decoded by its own codec.
//! - An **output** is retired: it delivers what it has, in its own time, while workers go on without
//!   it. Until it is done the positions of what it holds stay.
//! - **Workers** find an order when they take the next batch. One that an output holds up finds it
//!   then; nothing waits for it here.
//!
//! Nothing in here blocks, whatever outputs do.

use super::build::{Blueprint, Standing};
use super::command::Order;
use super::flush::Flushes;
use super::step::Step;
use super::{InputState, Pipeline, RunningInput};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Inputs that have ended but whose events are not all durable.
const LEAVING_MAX: usize = 64;

impl Pipeline {
    /// What need not be built again for another configuration.
    pub fn standing(&self) -> Standing {
        let mut filters = HashMap::new();
        for step in &self.filters {
            step.each_filter(&mut |filter| {
                if let Step::Filter { stats, .. } = filter {
                    filters.insert(stats.id.to_string(), filter.fork());
                }
            });
        }
        Standing {
            inputs: self.inputs.iter().map(|input| (input.id.clone(), input.print)).collect(),
            outputs: self.outputs.iter().map(|output| (output.stats.id.to_string(), output.print)).collect(),
            filters,
            stats: self.stats.shape.load().plugins.clone(),
        }
    }

    /// Whether the index keeps the positions, which a reload can't change.
    pub fn into_index(&self) -> bool {
        self.keeper.is_index()
    }

    /// Goes on by another configuration, which was built beside what stands here.
    pub fn reload(&mut self, blueprint: Blueprint) -> std::io::Result<()> {
        debug_assert_eq!(blueprint.into_index(), self.into_index(), "BUG: positions would have two keepers");
        self.change(blueprint)
    }

    /// Ends what is there: first the inputs, and once all that they sent is on its way to the outputs,
    /// these too. Another configuration could be given later. [`Pipeline::drained`] says when nothing
    /// is left.
    pub fn clear(&mut self) {
        for input in self.inputs.drain(..) {
            input.stop.retire();
            if !matches!(input.state, InputState::Waiting(_)) {
                self.leaving.push(input);
            }
        }
        self.clearing = true;
        self.tend();
    }

    /// The second half of [`Pipeline::clear`]: what waited in the queue has gone through the filters
    /// that it was meant for.
    fn clear_outputs(&mut self) {
        if !self.clearing || !self.leaving.iter().all(RunningInput::is_through) {
            return;
        }
        if let Err(error) = self.change(Blueprint::empty(&self.stats.id)) {
            tracing::error!(%error, "cannot end a pipeline's outputs");
        }
    }

    /// Whether everything that was read is delivered and every thread but the workers' is gone.
    pub fn drained(&self) -> bool {
        !self.clearing
            && self.inputs.is_empty()
            && self.outputs.is_empty()
            && self.retired.is_empty()
            && self.leaving.iter().all(RunningInput::is_through)
    }

    pub(super) fn change(&mut self, blueprint: Blueprint) -> std::io::Result<()> {
        let Blueprint { shape, inputs, filters, routes, outputs, ordered, observe, .. } = blueprint;
        self.clearing = false;
        let workers = if inputs.is_empty() && outputs.is_empty() { self.workers.len() } else { shape.workers };
        // Threads first: where one can't be started, the old configuration is still whole.
        let mut planned = Vec::with_capacity(outputs.len());
        for mut plan in outputs {
            let id = plan.stats.id.clone();
            planned.push(match plan.output.take() {
                Some(output) => (id, Some(self.start_output(plan, output, workers)?)),
                None => (id, None),
            });
        }
        self.stats.shape.store(Arc::new(shape));
        let mut gone = std::mem::take(&mut self.outputs);
        self.outputs.extend(planned.into_iter().map(|(id, new)| {
            new.unwrap_or_else(|| {
                let at = gone.iter().position(|output| output.stats.id == id);
                gone.remove(at.expect("BUG: an output that was to stay is gone"))
            })
        }));
        for mut output in gone {
            output.mailbox.retire();
            output.outlet = None;
            self.retired.push(output);
        }
        let mut old: HashMap<String, RunningInput> = self.inputs.drain(..).map(|i| (i.id.clone(), i)).collect();
        for plan in inputs {
            match plan.built {
                Some(built) => self.add_input(plan.id, plan.key, plan.print, built),
                None => self.inputs.push(old.remove(&plan.id).expect("BUG: an input that was to stay is gone")),
            }
        }
        for (_, input) in old {
            input.stop.retire();
            // One that never began leaves nothing behind.
            if !matches!(input.state, InputState::Waiting(_)) {
                self.leaving.push(input);
            }
        }
        self.retire_filters(&filters);
        (self.filters, self.routes, self.ordered, self.observe) = (filters, routes, ordered, observe);
        self.order_workers(workers)?;
        self.tend();
        Ok(())
    }

    /// Marks the filters that are not among those to come: workers flush them when they leave.
    fn retire_filters(&self, next: &[Step]) {
        let mut stay = Vec::new();
        next.iter().for_each(|step| step.each_filter(&mut |filter| stay.extend(filter.retired())));
        for step in &self.filters {
            step.each_filter(&mut |filter| {
                if let Some(retired) = filter.retired()
                    && !stay.iter().any(|stays| Arc::ptr_eq(stays, retired))
                {
                    retired.store(true, Ordering::Release);
                }
            });
        }
    }

    /// Gives every worker its orders, and brings their number to `wanted`.
    fn order_workers(&mut self, wanted: usize) -> std::io::Result<()> {
        self.drop_ended_workers();
        let flushes = Arc::new(Flushes::new(&self.filters, &self.timer));
        for (at, (command, _)) in self.workers.iter().enumerate() {
            command.give(if at < wanted { Order::Use(self.kit(&flushes)) } else { Order::End });
        }
        while self.workers.len() < wanted {
            let worker = self.start_worker(self.workers.len(), &flushes)?;
            self.workers.push(worker);
        }
        Ok(())
    }

    /// Looks after what has ended, and starts what waited for it. To be called when the bell rings
    /// and, while something is on its way out, every now and then.
    pub fn tend(&mut self) {
        for input in self.inputs.iter_mut().chain(&mut self.leaving) {
            self.sound &= input.settle(false);
        }
        self.start_waiting();
        for input in self.leaving.extract_if(.., |input| input.is_done()) {
            if let InputState::Ended(Some(mut plugin), _) = input.state {
                plugin.settled();
            }
        }
        let sound = &mut self.sound;
        for output in self.retired.extract_if(.., |output| output.thread.ended()) {
            *sound &= output.thread.join().is_ok();
        }
        *self.stats.retired.lock() = self.retired.iter().map(|output| output.stats.id.to_string()).collect();
        let used = |key: &String| self.inputs.iter().chain(&self.leaving).any(|input| input.key == *key);
        let keeper = &self.keeper;
        self.trackers.retain(|key, tracker| {
            let stays = used(key) || !tracker.idle();
            if !stays {
                keeper.remove(tracker);
            }
            stays
        });
        self.drop_ended_workers();
        self.forget_oldest();
        self.clear_outputs();
    }

    /// Lets workers go that were told to end.
    fn drop_ended_workers(&mut self) {
        let sound = &mut self.sound;
        for (_, thread) in self.workers.extract_if(.., |(_, thread)| thread.ended()) {
            *sound &= thread.join().is_ok();
        }
    }

    /// Inputs wait here for an output that holds their last events, perhaps for ever. There is nothing
    /// of them left but what they would do once all is durable; the oldest go without it.
    fn forget_oldest(&mut self) {
        let through = self.leaving.iter().filter(|input| input.is_through()).count();
        let mut excess = through.saturating_sub(LEAVING_MAX);
        self.leaving.retain(|input| {
            let goes = excess > 0 && input.is_through();
            excess -= usize::from(goes);
            !goes
        });
    }

    /// Whether something is on its way out.
    pub fn is_changing(&self) -> bool {
        !self.leaving.is_empty()
            || !self.retired.is_empty()
            || self.inputs.iter().any(|input| matches!(input.state, InputState::Waiting(_)))
    }

    /// Starts the inputs whose predecessors have ended.
    fn start_waiting(&mut self) {
        for at in 0..self.inputs.len() {
            let input = &self.inputs[at];
            let free = |other: &RunningInput| other.key != input.key || matches!(other.state, InputState::Ended(..));
            if !matches!(input.state, InputState::Waiting(_)) || !self.leaving.iter().all(free) {
                continue;
            }
            let end = input.tracker.issued();
            let state = std::mem::replace(&mut self.inputs[at].state, InputState::Ended(None, end));
            let InputState::Waiting(ready) = state else { unreachable!("BUG: it waited") };
            match self.start_input(&self.inputs[at], *ready) {
                Ok(thread) => self.inputs[at].state = InputState::Running(thread),
                Err(error) => {
                    tracing::error!(plugin.id = self.inputs[at].id, %error, "cannot start the input's thread");
                    self.sound = false;
                }
            }
        }
    }
}

impl RunningInput {
    /// Whether nothing of it is left: decoded, delivered and durable.
    fn is_done(&self) -> bool {
        match &self.state {
            InputState::Ended(None, _) => self.is_through(),
            InputState::Ended(Some(_), end) => self.is_through() && self.tracker.durable_until() >= *end,
            InputState::Waiting(_) | InputState::Running(_) => false,
        }
    }
}

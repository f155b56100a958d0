//! What plugins are asked, each kind its own question, and how an instance on the worker's own stack is asked it.

use super::{
    bindings::v0_1::{authentication, discovery, routing},
    fault::Fault,
    host_calls::CallState,
    instance::{Budget, Instance},
};

/// The question of a kind of plugin. An instance on another thread is asked a copy.
pub trait Ask: Clone + Into<Question> {
    type Answer: TryFrom<Answer>;

    fn ask(&self, instance: &mut Instance, state: CallState, budget: Budget) -> Result<Self::Answer, Fault>;
}

pub enum Question {
    Authenticate(authentication::Request),
    Route(routing::Request),
    Filter(discovery::Candidate),
}

pub enum Answer {
    Authentication(authentication::Decision),
    Routing(routing::Decision),
    Verdict(discovery::Verdict),
}

impl Ask for authentication::Request {
    type Answer = authentication::Decision;

    fn ask(&self, instance: &mut Instance, state: CallState, budget: Budget) -> Result<Self::Answer, Fault> {
        instance.authenticate(self, state, budget)
    }
}

impl Ask for routing::Request {
    type Answer = routing::Decision;

    fn ask(&self, instance: &mut Instance, state: CallState, budget: Budget) -> Result<Self::Answer, Fault> {
        instance.route(self, state, budget)
    }
}

impl Ask for discovery::Candidate {
    type Answer = discovery::Verdict;

    fn ask(&self, instance: &mut Instance, state: CallState, budget: Budget) -> Result<Self::Answer, Fault> {
        instance.filter(self, state, budget)
    }
}

macro_rules! question {
    ($question:ty => $asked:ident, $answer:ty => $answered:ident) => {
        impl From<$question> for Question {
            fn from(question: $question) -> Self {
                Self::$asked(question)
            }
        }

        impl TryFrom<Answer> for $answer {
            /// The answer to another question.
            type Error = Answer;

            fn try_from(answer: Answer) -> Result<Self, Answer> {
                match answer {
                    Answer::$answered(answer) => Ok(answer),
                    other => Err(other),
                }
            }
        }
    };
}

question!(authentication::Request => Authenticate, authentication::Decision => Authentication);
question!(routing::Request => Route, routing::Decision => Routing);
question!(discovery::Candidate => Filter, discovery::Verdict => Verdict);

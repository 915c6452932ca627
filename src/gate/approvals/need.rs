//! What a rule's `need` asks for: `2 x incident-commander`.

use crate::domain::approval::Approver;
use crate::gate::policy::parse_need as parse;

/// The first of `need` that nobody fills, or nothing when each signature it asks for has a person of its own.
/// `approvers` must be distinct persons with distinct keys. A matching by augmenting paths: whoever has several roles
/// is used where they are needed most.
pub(super) fn unfilled(need: &[String], approvers: &[Approver]) -> Result<Option<String>, String> {
    let mut places: Vec<&str> = Vec::new();
    for text in need {
        let (count, role) = parse(text)?;
        places.extend(std::iter::repeat_n(role, count));
    }
    let mut taken: Vec<Option<usize>> = vec![None; approvers.len()];
    for place in 0..places.len() {
        let mut seen = vec![false; approvers.len()];
        if !fill(place, &places, approvers, &mut taken, &mut seen) {
            let role = places[place];
            let have = taken.iter().flatten().filter(|&&filled| places[filled] == role).count();
            let wanted = places.iter().filter(|&&other| other == role).count();
            return Ok(Some(format!("{have} of {wanted} x {role}")));
        }
    }
    Ok(None)
}

fn fill(place: usize, places: &[&str], approvers: &[Approver], taken: &mut [Option<usize>], seen: &mut [bool]) -> bool {
    for (index, approver) in approvers.iter().enumerate() {
        if seen[index] || !approver.roles.iter().any(|role| role == places[place]) {
            continue;
        }
        seen[index] = true;
        if taken[index].is_none_or(|other| fill(other, places, approvers, taken, seen)) {
            taken[index] = Some(place);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::approval::Say;
    use crate::domain::{Text, Timestamp};

    fn person(name: &str, roles: &[&str]) -> Approver {
        Approver {
            person: name.into(),
            principal: name.into(),
            key: name.into(),
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            say: Say::Approve,
            reason: Text::default(),
            at: Timestamp::default(),
        }
    }

    #[test]
    fn each_place_takes_a_person_of_its_own() {
        let need = ["1 x incident-commander".to_owned(), "1 x admin".to_owned()];
        let both = person("a", &["incident-commander", "admin"]);
        let commander = person("b", &["incident-commander"]);
        assert_eq!(unfilled(&need, std::slice::from_ref(&both)), Ok(Some("0 of 1 x admin".to_owned())));
        assert_eq!(unfilled(&need, &[both.clone(), commander.clone()]), Ok(None));
        assert_eq!(unfilled(&need, &[commander.clone(), both]), Ok(None));
        let two = ["2 x incident-commander".to_owned()];
        assert_eq!(unfilled(&two, &[commander]), Ok(Some("1 of 2 x incident-commander".to_owned())));
    }

    #[test]
    fn what_is_no_need_is_said() {
        for text in ["", "two x admin", "0 x admin", "99 x admin", "1 x comander", "1 admin", "1 x admin now"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse(" 2  x admin "), Ok((2, "admin")));
    }
}

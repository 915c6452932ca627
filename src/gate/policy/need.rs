//! Who has to sign: `2 x incident-commander`.

use super::ROLES;

/// Most signatures that a rule may ask for.
const MAX_COUNT: usize = 20;

/// Reads one entry of `need`: a number, `x`, and a role of the policy.
pub fn parse(text: &str) -> Result<(usize, &'static str), String> {
    let shape = || format!("`{text}` is no need: write it as `1 x incident-commander`");
    let mut words = text.split_whitespace();
    let (Some(count), Some("x"), Some(role), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err(shape());
    };
    let count: usize = count.parse().map_err(|_| shape())?;
    if !(1..=MAX_COUNT).contains(&count) {
        return Err(format!("`{text}`: between 1 and {MAX_COUNT} signatures can be asked for"));
    }
    match ROLES.iter().find(|&&known| known == role) {
        Some(role) => Ok((count, role)),
        None => Err(format!("`{text}`: the role `{role}` is not known{}", super::nearest(role, &ROLES))),
    }
}

/// What fulfils every one of `needs`: for each role the most that any of them asks for, in the order of the roles.
/// Entries that cannot be read stay as they are, so that nobody can fulfil them.
pub(super) fn together<'a>(needs: impl IntoIterator<Item = &'a [String]>) -> Vec<String> {
    let mut most = [0_usize; ROLES.len()];
    let mut unread: Vec<String> = Vec::new();
    for need in needs {
        let mut asked = [0_usize; ROLES.len()];
        for text in need {
            match parse(text) {
                // Within one rule, entries of the same role add up.
                Ok((count, role)) => {
                    for (sum, _) in asked.iter_mut().zip(ROLES).filter(|(_, known)| *known == role) {
                        *sum += count;
                    }
                }
                Err(_) if unread.contains(text) => {}
                Err(_) => unread.push(text.clone()),
            }
        }
        for (most, asked) in most.iter_mut().zip(asked) {
            *most = asked.max(*most);
        }
    }
    let read = most.iter().zip(ROLES).filter(|(count, _)| **count > 0).map(|(count, role)| format!("{count} x {role}"));
    read.chain(unread).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_need_is_a_number_and_a_known_role() {
        assert_eq!(parse("2 x admin"), Ok((2, "admin")));
        for text in
            ["", "admin", "0 x admin", "21 x admin", "-1 x admin", "1 x root", "1 admin", "1 x admin x", "1xadmin"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("1 x amdin").unwrap_err().contains("did you mean `admin`?"));
    }

    #[test]
    fn the_needs_of_several_rules_are_all_fulfilled_by_what_they_become() {
        let need = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let (one, two, other) = (need(&["1 x admin"]), need(&["2 x admin"]), need(&["1 x incident-commander"]));
        assert_eq!(together([&one[..], &two[..], &other[..]]), ["1 x incident-commander", "2 x admin"]);
        let twice = need(&["1 x admin", "1 x admin"]);
        assert_eq!(together([&twice[..], &one[..]]), ["2 x admin"]);
        assert_eq!(together([&need(&["all"])[..]]), ["all"]);
    }
}

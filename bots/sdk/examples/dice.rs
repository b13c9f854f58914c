//! Throws dice: `/roll`, `/roll 3`, `/roll 2 20`. The throw derives from the event, so a bot that is killed and asked
//! again throws the same, and nobody is told two results.

use cipher_bot::prelude::*;

/// Throws dice: how many (1), and with how many sides (6).
#[command]
fn roll(context: Context, dice: Option<u8>, sides: Option<u16>) -> Result<Reply, &'static str> {
    let (dice, sides) = (dice.unwrap_or(1), sides.unwrap_or(6));
    if !(1..=20).contains(&dice) || sides < 2 {
        return Err("1 to 20 dice with 2 sides or more");
    }
    // Unlike a random number, the key is the same each time this event comes.
    let mut chance = u64::from_str_radix(&context.idempotency_key().chars().take(15).collect::<String>(), 16)
        .unwrap_or_default();
    let mut throws = Vec::new();
    for _ in 0..dice {
        // SplitMix64: good enough for a game.
        chance = chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        throws.push((mixed ^ (mixed >> 31)) % u64::from(sides) + 1);
    }
    let sum: u64 = throws.iter().sum();
    let shown: Vec<String> = throws.iter().map(u64::to_string).collect();
    Ok(Reply::new(format!("{} = {sum}", shown.join(" + "))).quoting())
}

fn main() -> Exit {
    Bot::new("dice").about("throws dice.").command(roll).run()
}

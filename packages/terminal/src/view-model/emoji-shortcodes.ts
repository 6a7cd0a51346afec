// Emoji short names such as `:tada:`.
/** The usual short names of other chat services. */
const NAMES = `
+1 👍 -1 👎 100 💯 alarm_clock ⏰ alien 👽 angel 😇 angry 😠 apple 🍎 art 🎨 astonished 😲 baby 👶 balloon 🎈 beer 🍺 beers 🍻
bell 🔔 bicycle 🚲 bike 🚴 birthday 🎂 blossom 🌼 blush 😊 bomb 💣 book 📖 boom 💥 bow 🙇 bread 🍞 broken_heart 💔 bug 🐛
bulb 💡 bus 🚌 cactus 🌵 cake 🍰 calendar 📅 camera 📷 car 🚗 cat 🐱 cherry_blossom 🌸 clap 👏 clock 🕐 cloud ☁️ coffee ☕
cold 🥶 computer 💻 confetti 🎊 confused 😕 cool 😎 cow 🐮 cry 😢 crossed_fingers 🤞 crown 👑 cup 🍵 dancer 💃 dash 💨 dog 🐶
dizzy 💫 droplet 💧 earth 🌍 eyes 👀 facepalm 🤦 fire 🔥 fireworks 🎆 fish 🐟 flushed 😳 folded_hands 🙏 frog 🐸 frowning ☹️ gem 💎
ghost 👻 gift 🎁 globe 🌐 green_heart 💚 grin 😁 grinning 😀 guitar 🎸 hammer 🔨 handshake 🤝 heart ❤️ heart_eyes 😍 hot 🥵
hourglass ⏳ house 🏠 hug 🤗 hundred 💯 innocent 😇 japan 🗾 joy 😂 key 🔑 kiss 😘 laughing 😆 link 🔗 lock 🔒 lol 🤣 loudspeaker 📢
mag 🔍 mask 😷 memo 📝 microphone 🎤 money 💰 moon 🌙 mountain ⛰️ muscle 💪 mushroom 🍄 musical_note 🎵 nerd 🤓 neutral 😐
new 🆕 ng 🆖 ok 🆗 ok_hand 👌 ocean 🌊 onigiri 🍙 octopus 🐙 package 📦 palm_tree 🌴 paperclip 📎 party 🥳 pencil ✏️ penguin 🐧
phone 📱 pin 📌 pizza 🍕 plane ✈️ pleading 🥺 point_down 👇 point_left 👈 point_right 👉 point_up 👆 poop 💩 pray 🙏 purple_heart 💜
question ❓ rabbit 🐰 rage 😡 rain 🌧️ rainbow 🌈 raised_hand ✋ ramen 🍜 recycle ♻️ relieved 😌 rice 🍚 ring 💍 robot 🤖 rocket 🚀
rofl 🤣 rose 🌹 runner 🏃 sad 😞 sake 🍶 salute 🫡 scream 😱 seedling 🌱 see_no_evil 🙈 shrug 🤷 skull 💀 sleeping 😴 sleepy 😪
smile 😄 smiley 😃 smirk 😏 snail 🐌 snake 🐍 snowflake ❄️ snowman ⛄ sob 😭 sparkles ✨ speech 💬 star ⭐ star_struck 🤩 stuck_out 😛
sun ☀️ sunflower 🌻 sunglasses 😎 sunrise 🌅 surprised 😮 sushi 🍣 sweat 😓 sweat_smile 😅 tada 🎉 tea 🍵 tears 🥲 thinking 🤔 thumbsdown 👎
thumbsup 👍 tired 😫 tomato 🍅 tools 🛠️ train 🚆 tree 🌳 trophy 🏆 turtle 🐢 umbrella ☔ unamused 😒 upside_down 🙃 v ✌️ warning ⚠️
watch ⌚ wave 👋 weary 😩 whale 🐳 white_check_mark ✅ wink 😉 wrench 🔧 x ❌ yellow_heart 💛 yum 😋 zap ⚡ zzz 💤
`;

const tokens = NAMES.trim().split(/\s+/);
const byName = new Map<string, string>();
for (let at = 0; at + 1 < tokens.length; at += 2) byName.set(tokens[at] as string, tokens[at + 1] as string);

/** Finds an emoji by its short name, with or without colons. */
export const findEmoji = (name: string): string | undefined => byName.get(name.replace(/^:|:$/g, '').toLowerCase());

/** Emoji whose short names have this prefix; exact matches come first. */
export const emojiStartingWith = (start: string): { name: string; emoji: string }[] =>
  [...byName].filter(([name]) => name.startsWith(start.toLowerCase())).map(([name, emoji]) => ({ name, emoji }));

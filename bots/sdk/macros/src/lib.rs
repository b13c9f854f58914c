//! The attribute `#[command]` of `cipher-bot`, and nothing else: a bot author never names this package.
//!
//! A function's doc comment and argument names are gone by the time the compiler calls anything, and they are what
//! `/help` and usage errors are made of. Only an attribute macro sees them.

use proc_macro::TokenStream;
use quote::{format_ident, quote};
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, ExprLit, FnArg, ItemFn, Lit, Meta, Pat, Type};

/// Turns a plain function into a command: its name is the verb, its doc comment the help, its arguments the usage.
///
/// An argument of type `&mut T` is memory of the conversation, kept under the argument's name; every other argument
/// implements `cipher_bot::argument::FromArguments`.
#[proc_macro_attribute]
pub fn command(options: TokenStream, item: TokenStream) -> TokenStream {
    if !options.is_empty() {
        let message = "#[command] has no options: the function says everything";
        return Error::new(proc_macro2::Span::call_site(), message).into_compile_error().into();
    }
    let function = syn::parse_macro_input!(item as ItemFn);
    expand(function).unwrap_or_else(Error::into_compile_error).into()
}

/// One argument of the function: how it is listed in the usage, obtained, passed and put back.
#[derive(Default)]
struct Parts {
    listed: Vec<proc_macro2::TokenStream>,
    obtained: Vec<proc_macro2::TokenStream>,
    passed: Vec<proc_macro2::TokenStream>,
    kept: Vec<proc_macro2::TokenStream>,
}

fn expand(mut function: ItemFn) -> Result<proc_macro2::TokenStream, Error> {
    let signature = &function.sig;
    if signature.asyncness.is_some() {
        return Err(Error::new(
            signature.asyncness.span(),
            "a command is a plain function, not an async one",
        ));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new(signature.generics.span(), "a command cannot be generic"));
    }
    let mut parts = Parts::default();
    for (index, input) in signature.inputs.iter().enumerate() {
        argument(&mut parts, index, input)?;
    }
    let Parts { listed, obtained, passed, kept } = parts;
    let about = about(&function.attrs);
    let (name, visibility) = (signature.ident.clone(), function.vis.clone());
    let verb = name.to_string().trim_start_matches("r#").to_owned();
    let docs: Vec<Attribute> =
        function.attrs.iter().filter(|attribute| attribute.path().is_ident("doc")).cloned().collect();
    function.attrs.retain(|attribute| !attribute.path().is_ident("doc"));
    function.vis = syn::Visibility::Inherited;
    Ok(quote! {
        #(#docs)*
        #visibility fn #name() -> ::cipher_bot::command::Definition {
            #function
            ::cipher_bot::command::Definition::new(#verb, #about, ::std::vec![#(#listed),*], |call| {
                #(#obtained)*
                call.finish()?;
                let answer = #name(#(#passed),*);
                #(#kept)*
                ::std::result::Result::Ok(::cipher_bot::answer::IntoAnswer::into_answer(answer))
            })
        }
    })
}

fn argument(parts: &mut Parts, index: usize, input: &FnArg) -> Result<(), Error> {
    let FnArg::Typed(typed) = input else {
        return Err(Error::new(input.span(), "a command is a free function, without self"));
    };
    let Pat::Ident(pattern) = typed.pat.as_ref() else {
        return Err(Error::new(typed.pat.span(), "give this argument a name: people see it in the usage"));
    };
    let name = pattern.ident.to_string().trim_start_matches("r#").trim_matches('_').to_owned();
    let variable = format_ident!("argument_{index}");
    match typed.ty.as_ref() {
        Type::Reference(reference) if reference.mutability.is_some() => {
            let of = &reference.elem;
            parts.obtained.push(quote! { let mut #variable = call.remembered::<#of>(#name)?; });
            parts.passed.push(quote! { &mut #variable });
            parts.kept.push(quote! { call.remember(#name, &#variable)?; });
        }
        Type::Reference(reference) => {
            return Err(Error::new(reference.span(), "take arguments by value, and memory as `&mut`"));
        }
        of => {
            parts.listed.push(quote! { ::cipher_bot::command::Argument::of::<#of>(#name) });
            parts.obtained.push(quote! { let #variable = call.argument::<#of>(#name)?; });
            parts.passed.push(quote! { #variable });
        }
    }
    Ok(())
}

/// The doc comment as one paragraph.
fn about(attributes: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("doc")) {
        if let Meta::NameValue(value) = &attribute.meta
            && let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &value.value
        {
            lines.push(text.value().trim().to_owned());
        }
    }
    // The first paragraph is for /help, the rest for whoever reads the code.
    let first: Vec<String> = lines.into_iter().take_while(|line| !line.is_empty()).collect();
    first.join(" ")
}
